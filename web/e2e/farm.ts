/** The product with its demo farm (`shoal demo`): its own data folder, its own ports, and gone when the test is over. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { test as base, expect, type Page } from "@playwright/test";
import { python } from "./invented";

const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** A cold start makes a database, 24 keys and two models; a busy machine takes its time. */
const START_MS_MAX = 120_000;

export class Farm {
  private constructor(
    private readonly process: ChildProcess,
    private readonly folder: string,
    readonly url: string,
    readonly coaps: string,
    readonly email: string,
    readonly password: string,
    readonly token: string,
  ) {}

  static async begin(): Promise<Farm> {
    const folder = mkdtempSync(join(tmpdir(), "shoal-demo-"));
    const web = `127.0.0.1:${await freePort()}`;
    const coaps = `coaps://127.0.0.1:${await freePort()}`;
    const process_ = spawn(python, ["-m", "shoal.cli", "demo", "--data", folder, "--web", web, "--listen", coaps], {
      cwd: folder,
      env: { ...process.env, PYTHONPATH: join(checkout, "src"), PYTHONUNBUFFERED: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const said = await told(process_);
    return new Farm(process_, folder, `http://${web}`, coaps, said("login"), said("password"), said("API token"));
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    if (this.process.exitCode === null) {
      this.process.kill("SIGINT");
      await ended;
    }
    rmSync(this.folder, { recursive: true });
  }

  /** The id of a device by its endpoint name, asked of the API as a program would. */
  async device(page: Page, endpoint: string): Promise<string> {
    const answer = await page.request.get(`${this.url}/api/v1/devices`, {
      params: { q: endpoint },
      headers: { Authorization: `Bearer ${this.token}` },
    });
    const { items } = (await answer.json()) as { items: { id: string; endpoint: string }[] };
    const found = items.find((each) => each.endpoint === endpoint);
    if (!found) throw new Error(`no device is called ${endpoint}`);
    return found.id;
  }

  async logIn(page: Page): Promise<void> {
    await page.goto("/");
    await page.getByLabel("Email").fill(this.email);
    await page.getByLabel("Password").fill(this.password);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();
  }
}

export const test = base.extend<object, { farm: Farm }>({
  farm: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs from here
    async ({}, use) => {
      const farm = await Farm.begin();
      await use(farm);
      await farm.end();
    },
    { scope: "worker", timeout: START_MS_MAX },
  ],
  baseURL: async ({ farm }, use) => use(farm.url),
});

export { expect };

/** What the demo prints beneath its address: `login`, `password`, `API token`. Waits until it has said all of it. */
async function told(process_: ChildProcess): Promise<(name: string) => string> {
  if (!process_.stdout) throw new Error("the demo has no output");
  const lines: string[] = [];
  const input = createInterface({ input: process_.stdout });
  for await (const line of input) {
    lines.push(line);
    if (line.includes("Ctrl-C stops")) break;
  }
  // What it says from now on goes nowhere, but must be taken, or it would wait for a reader.
  process_.stdout.resume();
  return (name) => {
    const found = lines.map((line) => line.trim()).find((line) => line.startsWith(`${name} `));
    if (!found) throw new Error(`the demo did not say its ${name}:\n${lines.join("\n")}`);
    return found.slice(name.length).trim();
  };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
