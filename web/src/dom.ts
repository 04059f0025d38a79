// Small helpers around the DOM. Text is always set as text, never as HTML.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element #${id}`);
  return found as T;
}

type Child = Node | string | null;

export function make(tag: string, attributes: Record<string, string> = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

// Touches the page only when something changed, so that selections and screen readers are left alone.
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// Makes the children of `parent` those of `items`, in order, reusing elements by key.
export function keyed<T>(parent: Element, items: T[], keyOf: (item: T) => string, create: (item: T) => HTMLElement,
                         update: (element: HTMLElement, item: T) => void): void {
  const before = new Map<string, HTMLElement>();
  for (const child of Array.from(parent.children) as HTMLElement[]) before.set(child.dataset.key ?? "", child);
  items.forEach((item, index) => {
    const key = keyOf(item);
    let element = before.get(key);
    before.delete(key);
    if (element === undefined) {
      element = create(item);
      element.dataset.key = key;
    }
    update(element, item);
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  for (const gone of before.values()) gone.remove();
}
