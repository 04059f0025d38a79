declare module "*.css"; // bundled by esbuild into app.css
