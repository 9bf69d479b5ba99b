// Writes src/api/schema.gen.ts from the BFF's OpenAPI; with --check says whether it is up to date.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { tool, web } from "./codegen.mjs";

const checkout = dirname(web);
const target = join(web, "src/api/schema.gen.ts");
const inVenv = join(checkout, ".venv/bin/python");
const python = process.env.PYTHON ?? (existsSync(inVenv) ? inVenv : "python3");
const generator = tool("openapi-typescript/bin/cli.js");

const folder = mkdtempSync(join(tmpdir(), "shoal-schema-"));
try {
  const document = execFileSync(python, ["-m", "shoal.bff.openapi"], {
    cwd: checkout,
    env: { ...process.env, PYTHONPATH: join(checkout, "src") },
  });
  writeFileSync(join(folder, "openapi.json"), document);
  const made = join(folder, "schema.gen.ts");
  execFileSync(process.execPath, [generator, join(folder, "openapi.json"), "-o", made, "--alphabetize"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const fresh = readFileSync(made, "utf8");
  if (!process.argv.includes("--check")) {
    writeFileSync(target, fresh);
  } else if (!existsSync(target) || readFileSync(target, "utf8") !== fresh) {
    console.error("src/api/schema.gen.ts is not what the BFF's OpenAPI says. Run: npm run schema");
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
