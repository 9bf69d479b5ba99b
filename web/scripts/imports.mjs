// Who may import whom (.dependency-cruiser.cjs), checked over src. Fails, too, when nothing was read: then nothing was checked.
import { spawnSync } from "node:child_process";
import { tool, web } from "./codegen.mjs";

const cruiser = tool("dependency-cruiser/bin/dependency-cruise.mjs");
const { status, stdout, stderr } = spawnSync(process.execPath, [cruiser, "--no-progress", "src"], {
  cwd: web,
  encoding: "utf8",
});
process.stdout.write(stdout);
process.stderr.write(stderr);
const modules = Number(/(\d+) modules/.exec(stdout)?.[1] ?? 0);
if (status === 0 && modules === 0) console.error("No module was read: the compiler that reads TypeScript is missing.");
process.exitCode = status || modules === 0 ? 1 : 0;
