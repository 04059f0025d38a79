'use strict';
// What the catalogue is made of. Each department has its own goods, materials and uses, so that
// a search for "linen" or "camping" finds what one expects.

const BRANDS = ['Almfried', 'Birkvale', 'Corvina', 'Dorsen', 'Elmhaus', 'Fjordal', 'Grantham',
  'Halden', 'Ilmenau', 'Jorvik', 'Kestrel', 'Lindqvist', 'Marlow', 'Norden', 'Ottoline', 'Pemberly',
  'Quarry & Sons', 'Rosen', 'Saltmarsh', 'Tarn', 'Umbra', 'Vester', 'Wolfram', 'Yarrow', 'Zeller'];

const DEPARTMENTS = [
  { name: 'Kitchen', hue: 18, price: [9, 140],
    goods: ['saucepan', 'frying pan', 'chef knife', 'cutting board', 'kettle', 'teapot',
      'mixing bowl', 'pepper mill', 'colander', 'casserole', 'bread tin', 'whisk'],
    materials: ['cast iron', 'copper', 'stainless steel', 'beech', 'enamel', 'stoneware'],
    uses: ['slow braising', 'a quick breakfast', 'baking with children', 'a Sunday roast'] },
  { name: 'Lighting', hue: 46, price: [19, 320],
    goods: ['desk lamp', 'floor lamp', 'pendant', 'wall light', 'lantern', 'reading lamp',
      'string lights', 'dimmer', 'night light', 'spotlight'],
    materials: ['brass', 'opal glass', 'linen', 'aluminium', 'oak', 'smoked glass'],
    uses: ['reading in bed', 'long winter evenings', 'a dark hallway', 'the dinner table'] },
  { name: 'Garden', hue: 110, price: [6, 210],
    goods: ['spade', 'watering can', 'secateurs', 'planter', 'garden hose', 'rake', 'trowel',
      'bird feeder', 'wheelbarrow', 'hedge shears', 'seed tray', 'compost bin'],
    materials: ['galvanised steel', 'ash wood', 'terracotta', 'carbon steel', 'bamboo', 'zinc'],
    uses: ['heavy clay', 'raised beds', 'pruning roses', 'a balcony in full sun'] },
  { name: 'Outdoor', hue: 150, price: [8, 480],
    goods: ['tent', 'sleeping bag', 'rucksack', 'camping stove', 'water bottle', 'head torch',
      'hammock', 'trekking poles', 'rain jacket', 'dry bag', 'sleeping mat', 'compass'],
    materials: ['ripstop nylon', 'merino', 'titanium', 'recycled polyester', 'cordura', 'down'],
    uses: ['a weekend in the hills', 'camping by a lake', 'long distance walking', 'wet autumns'] },
  { name: 'Bags', hue: 28, price: [15, 260],
    goods: ['satchel', 'tote bag', 'briefcase', 'wallet', 'weekend bag', 'messenger bag',
      'laptop sleeve', 'belt bag', 'wash bag', 'card holder'],
    materials: ['leather', 'waxed canvas', 'felt', 'suede', 'hemp', 'cork'],
    uses: ['the daily commute', 'a night away', 'hand luggage', 'the market'] },
  { name: 'Textiles', hue: 330, price: [7, 190],
    goods: ['blanket', 'cushion', 'duvet cover', 'bath towel', 'tablecloth', 'curtain', 'apron',
      'napkins', 'bedspread', 'tea towel', 'rug', 'pillowcase'],
    materials: ['linen', 'lambswool', 'organic cotton', 'mohair', 'velvet', 'alpaca'],
    uses: ['cold evenings', 'guests', 'a summer bedroom', 'a laid table'] },
  { name: 'Stationery', hue: 215, price: [3, 95],
    goods: ['notebook', 'fountain pen', 'pencil case', 'desk calendar', 'ruler', 'sketchbook',
      'letter opener', 'stapler', 'ink bottle', 'paper tray', 'document folder'],
    materials: ['kraft paper', 'ebonite', 'walnut', 'anodised aluminium', 'cloth', 'brass'],
    uses: ['travel notes', 'long letters', 'drawing outdoors', 'a tidy desk'] },
  { name: 'Workshop', hue: 200, price: [5, 380],
    goods: ['hand plane', 'chisel', 'claw hammer', 'screwdriver set', 'spirit level', 'clamp',
      'workbench', 'tape measure', 'mitre saw', 'drill', 'file set', 'tool box'],
    materials: ['chrome vanadium', 'hornbeam', 'ductile iron', 'tool steel', 'maple', 'brass'],
    uses: ['fine joinery', 'repairs about the house', 'green wood', 'a first workshop'] },
  { name: 'Bicycle', hue: 260, price: [6, 290],
    goods: ['saddle', 'pannier', 'bicycle pump', 'helmet', 'bell', 'front light', 'bottle cage',
      'chain lock', 'mudguard', 'handlebar tape', 'pedals', 'repair kit'],
    materials: ['leather', 'carbon', 'forged alloy', 'hardened steel', 'cork', 'polycarbonate'],
    uses: ['touring', 'the commute in the rain', 'gravel roads', 'riding at night'] },
  { name: 'Coffee & Tea', hue: 12, price: [5, 330],
    goods: ['coffee grinder', 'espresso cups', 'french press', 'pour over dripper', 'milk jug',
      'tea strainer', 'moka pot', 'storage jar', 'tasting spoon', 'tea caddy', 'gooseneck kettle'],
    materials: ['porcelain', 'borosilicate glass', 'stainless steel', 'ceramic', 'walnut', 'tin'],
    uses: ['the first cup of the day', 'an afternoon with friends', 'green tea', 'light roasts'] },
];

const QUALITIES = ['classic', 'compact', 'sturdy', 'lightweight', 'handmade', 'folding', 'vintage',
  'everyday', 'professional', 'slim', 'deep', 'tall', 'insulated', 'stackable', 'weatherproof',
  'reversible', 'engraved', 'quilted', 'seamless', 'brushed'];

const COLOURS = ['ivory', 'charcoal', 'moss green', 'slate blue', 'terracotta', 'mustard', 'navy',
  'natural', 'burgundy', 'sand', 'petrol', 'black'];

const PLACES = ['a family workshop in the Black Forest', 'a small foundry near Sheffield',
  'a cooperative in Galicia', 'a mill on the Danish coast', 'a pottery in Umbria',
  'a sawmill in Carinthia', 'a weaving shed in the Hebrides', 'a studio in Ghent'];

// Templates of a description: {words} are replaced by what belongs to the product.
const SENTENCES = [
  'The {good} is made of {material} in {place}, and finished by hand.',
  'It was drawn for {use}, and has served many for {use2} since.',
  'The {quality} shape sits well in the hand and takes little room on a shelf.',
  'We tried it for a whole season before we put it into the shop, and gave away the samples last.',
  'The {material} ages with use: marks of wear are part of it and no reason for complaint.',
  'Comes in {colour}, {colour2} and {colour3}; the colour is dyed through and does not rub off.',
  'Every part can be had on its own, and what breaks within ten years is repaired free of charge.',
  'Wipe it with a damp cloth, let it dry slowly, and oil or wax it once a year.',
  'Compared with our older {good} it is a fifth lighter and noticeably stiffer.',
  'The box is cardboard without plastic, small enough for most letter boxes of a parcel station.',
  '{brand} has made nothing but goods for {department} since the founder left the sea.',
  'A {quality2} version with a longer handle is planned for next spring.',
];

const OPINIONS = [
  'Bought it for {use} and could not be happier with the {quality} {good}.',
  'The {material} feels solid, the {colour} is a little darker than on the photograph.',
  'Delivered within two days, carefully packed, exactly as described by the shop.',
  'After three months of {use2} there is not a scratch on the {good}.',
  'My sister has the same {good} from {brand} and recommended it at once.',
  'A fair price for honest work; I would choose {colour2} the next time.',
  'The {good} is heavier than expected, which turned out to be an advantage.',
  'Had to write to the service because a screw was missing: answered within the hour.',
  'Not quite what I was looking for, returned without any trouble.',
  'Second order already, this time as a present, and again the {quality2} finish convinces.',
  'The instructions could be better, yet the {material} parts fit together by themselves.',
  'Exactly the right size for our small flat, and {quality} enough for every day.',
];

module.exports = { BRANDS, DEPARTMENTS, QUALITIES, COLOURS, PLACES, SENTENCES, OPINIONS };
