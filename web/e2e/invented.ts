/** The pages over an invented farm (serve.py): one for each worker, and as at the start for each test. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { test as base, expect, type Page } from "@playwright/test";

const here = dirname(fileURLToPath(import.meta.url));
const inVenv = join(here, "../../.venv/bin/python");
export const python = process.env.PYTHON ?? (existsSync(inVenv) ? inVenv : "python3");

export const IDA = { email: "ida@nordvik.example", password: "saltwater" };
export const VISITOR = { email: "visitor@nordvik.example", password: "saltwater" };

export class Invented {
  private readonly said: AsyncIterator<string>;
  url = "";

  private constructor(private readonly serving: ChildProcess) {
    if (!serving.stdout) throw new Error("serve.py has no output");
    this.said = createInterface({ input: serving.stdout })[Symbol.asyncIterator]();
  }

  static async begin(): Promise<Invented> {
    const invented = new Invented(spawn(python, [join(here, "serve.py"), "0"], { stdio: ["pipe", "pipe", "inherit"] }));
    invented.url = await invented.line();
    return invented;
  }

  /** Changes the world: the commands of serve.py. Returns when it is so. */
  async say(command: string, fields?: object): Promise<void> {
    this.serving.stdin?.write(`${command} ${fields ? JSON.stringify(fields) : ""}\n`);
    expect(await this.line()).toBe("done");
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.serving.once("exit", resolve));
    this.serving.stdin?.end();
    await ended;
  }

  private async line(): Promise<string> {
    const { value, done } = await this.said.next();
    if (done) throw new Error("serve.py has ended");
    return value;
  }
}

export const test = base.extend<{ farm: Invented }, { served: Invented }>({
  served: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs from here
    async ({}, use) => {
      const served = await Invented.begin();
      await use(served);
      await served.end();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ served }, use) => use(served.url),
  farm: [
    async ({ served }, use) => {
      await served.say("reset");
      await use(served);
    },
    { auto: true },
  ],
});

export { expect };

/** Logs in without the form, which login.spec.ts is about. */
export async function logIn(page: Page, who = IDA): Promise<void> {
  const answer = await page.request.post("/bff/login", { data: who });
  expect(answer.status()).toBe(200);
}

type Screen = { items: { id: string; name: string; status: string; is_asleep: boolean; kind: string }[] };

/** The id of a device, by its name or by a piece of it that only one has. */
export async function deviceNamed(page: Page, name: string): Promise<string> {
  const answer = await page.request.get("/bff/screens/devices", { params: { q: name } });
  const [first] = ((await answer.json()) as Screen).items;
  if (!first) throw new Error(`no device is called ${name}`);
  return first.id;
}

/** A device that is well and either answers at once or sleeps. */
export async function wellDevice(page: Page, wanted: { isAsleep: boolean; kind: string }): Promise<Screen["items"][0]> {
  const answer = await page.request.get("/bff/screens/devices", { params: { status: "healthy", kind: wanted.kind } });
  const found = ((await answer.json()) as Screen).items.find((each) => each.is_asleep === wanted.isAsleep);
  if (!found) throw new Error(`no such ${wanted.kind}`);
  return found;
}
