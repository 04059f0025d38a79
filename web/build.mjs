// node build.mjs OUT: one script, one style sheet, the page and its icon.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const out = process.argv[2] ?? "dist";
mkdirSync(out, { recursive: true });
await build({
  entryPoints: { app: join(import.meta.dirname, "src/main.ts") },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "inline",
  logLevel: "warning",
});
for (const name of ["index.html", "favicon.svg"]) {
  copyFileSync(join(import.meta.dirname, "src", name), join(out, name));
}
