// The tools that need a compiler API, which TypeScript 7 does not have: they live in ../codegen, beside TypeScript 5.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const web = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where a tool's script is; installs the tools when they are not there yet. */
export function tool(path) {
  const script = join(web, "codegen/node_modules", path);
  if (!existsSync(script)) {
    const npm = process.env.npm_execpath;
    const command = npm ? [process.execPath, npm] : ["npm"];
    execFileSync(command[0], [...command.slice(1), "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: join(web, "codegen"),
      stdio: "inherit",
    });
  }
  return script;
}
