import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deviceNamed, expect, logIn, test, VISITOR } from "./invented";

test.beforeEach(async ({ page }) => logIn(page));

/** The machine that has the key of an authority: a shell with OpenSSL, as people have it. */
class Machine {
  readonly folder = mkdtempSync(join(tmpdir(), "shoal-authority-"));

  constructor(name: string) {
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const made = ["-x509", ...curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "900", "-subj", `/CN=${name}`];
    execFileSync("openssl", ["req", ...made], { cwd: this.folder, stdio: "pipe" });
  }

  run(command: string): string {
    return execFileSync("sh", ["-c", command], { cwd: this.folder, encoding: "utf8", stdio: "pipe" });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  end(): void {
    rmSync(this.folder, { recursive: true });
  }
}

const withMachine = test.extend<{ machine: Machine }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs from here
  machine: async ({}, use) => {
    const machine = new Machine("Havbruk devices");
    await use(machine);
    machine.end();
  },
});

withMachine(
  "an authority is added from its file and proved with the command that is shown",
  async ({ page, machine }) => {
    await page.goto("/");
    await page.getByRole("button", { name: /log out/i }).click();
    await page.getByRole("link", { name: /Trust anchors/ }).click();
    await page.getByRole("button", { name: "Add an authority" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("Havbruk");
    await dialog.getByLabel(/^Choose a file/).setInputFiles(machine.path("ca.pem"));
    await dialog.getByLabel(/Keep it waiting/).check();
    await dialog.getByLabel("Take such devices for").selectOption("cameras");
    await dialog.getByRole("button", { name: "Add it" }).click();

    const anchor = page.getByRole("listitem", { name: "Havbruk", exact: true });
    await expect(anchor).toContainText("It lets nobody in before it is proved.");
    machine.run((await anchor.getByText(/^openssl req/).textContent()) ?? "");
    await anchor.getByLabel(/^Choose a file/).setInputFiles(machine.path("proof.pem"));
    await anchor.getByRole("button", { name: "Prove it" }).click();

    await expect(anchor).toContainText("Trusted");
    await expect(anchor).toContainText("It brings in cameras that nobody added, when somebody approves them.");
    await expect(page.getByText("4 authorities may sign for your devices.")).toBeVisible();
  },
);

withMachine("a bare signature proves an authority, too, as text or as a file of bytes", async ({ page, machine }) => {
  await page.goto("/trust");
  await page.getByRole("button", { name: "Add an authority" }).click();
  await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("Havbruk");
  machine.run("openssl x509 -in ca.pem -outform DER -out ca.der");
  await page
    .getByRole("dialog")
    .getByLabel(/^Choose a file/)
    .setInputFiles(machine.path("ca.der"));
  await page.getByRole("dialog").getByRole("button", { name: "Add it" }).click();
  const anchor = page.getByRole("listitem", { name: "Havbruk", exact: true });

  await anchor.getByText("Or sign the challenge itself").click();
  const command = (await anchor.getByText(/^printf/).textContent()) ?? "";
  const signature = machine.run(command);
  await anchor.getByLabel("Answer", { exact: true }).fill(signature.slice(0, -8));
  await anchor.getByRole("button", { name: "Prove it" }).click();
  await expect(anchor.getByRole("alert")).toContainText("Sign exactly the challenge, without a line break");

  writeFileSync(machine.path("answer.sig"), Buffer.from(signature, "base64"));
  await anchor.getByLabel(/^Choose a file/).setInputFiles(machine.path("answer.sig"));
  await anchor.getByRole("button", { name: "Prove it" }).click();
  await expect(anchor).toContainText("Trusted");
});

withMachine("what is no authority is refused with what to do, and nothing is lost", async ({ page, machine }) => {
  await page.goto("/trust");
  await page.getByRole("button", { name: "Add an authority" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Add it" }).click();
  await expect(dialog.getByRole("alert")).toContainText("Give it a name");
  await dialog.getByLabel("Name", { exact: true }).fill("Havbruk");

  await dialog.getByLabel(/^Certificate of the authority/).fill(readFileSync(machine.path("ca.key"), "utf8"));
  await dialog.getByRole("button", { name: "Add it" }).click();

  await expect(dialog.getByRole("alert")).toContainText("Choose the file with the certificate, not its key.");
  await expect(dialog.getByLabel("Name", { exact: true })).toHaveValue("Havbruk");
});

test("the change from one authority to the next says how far it has come", async ({ page }) => {
  await page.goto("/trust");

  const old = page.getByRole("listitem", { name: "Nordvik devices" }).first();
  await expect(old).toContainText("3 devices showed a certificate of it last.");
  await expect(old).toContainText("It gives way to Nordvik devices (aut-NEW00001). 3 devices have not changed over");
  await expect(old).toContainText(/Ends in 1\d\d.d, on /);
  await expect(old.getByRole("button", { name: /^Remove/ })).toHaveCount(0);
  await old.getByRole("link", { name: "your own authority aut-01D00001" }).click();

  await page.getByRole("button", { name: "Retire it" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("Nothing that it issued counts any more");
  const deed = dialog.getByRole("button", { name: "Retire it, and cut 3 devices off" });
  await expect(deed).toHaveAttribute("aria-disabled", "true");
  await dialog.getByLabel("Type Nordvik devices to go on").fill("Nordvik devices");
  await deed.click();

  await expect(page.getByText("Nothing that it issued counts any more.")).toBeVisible();
  await page.goto("/trust");
  await expect(page.getByRole("listitem", { name: "Nordvik devices" })).toHaveCount(1);
});

test("who removes a maker's authority reads first how many devices that cuts off", async ({ page }) => {
  await page.goto("/trust");
  await page.getByRole("button", { name: "Change Tidemark" }).click();
  await page
    .getByRole("dialog")
    .getByLabel(/Turn it away/)
    .check();
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  const anchor = page.getByRole("listitem", { name: "Tidemark", exact: true });
  await expect(anchor).toContainText("Devices that nobody added are turned away.");

  await page.getByRole("button", { name: "Remove Tidemark" }).click();
  await expect(page.getByRole("dialog")).toContainText("38 devices showed a certificate of it last.");
  await expect(page.getByRole("dialog")).toContainText("2 devices showed a certificate of an authority in between.");
  await page.getByRole("button", { name: "Remove, and cut 38 devices off" }).click();

  await expect(anchor).toHaveCount(0);
  await page.getByText("2 removed").click();
  await expect(page.getByText(/^Tidemark, .*removed just now/)).toBeVisible();
});

test("a device that nobody added comes in when somebody approves it", async ({ page }) => {
  await page.goto("/trust");
  const waiting = page.getByRole("region", { name: "Waiting for approval" });
  await expect(waiting.getByRole("listitem")).toHaveCount(2);
  await waiting
    .getByRole("button", { name: /^Approve/ })
    .first()
    .click();
  await expect(waiting.getByRole("listitem")).toHaveCount(1);

  await waiting.getByRole("link").click();
  const credentials = page.getByRole("region", { name: "Credentials" });
  await expect(credentials).toContainText("Waits for approval: nobody added this device");
  await credentials
    .getByRole("button", { name: /^Approve/ })
    .first()
    .click();
  await expect(credentials).toContainText("In use");
});

test("who knocks while the page is open appears by itself", async ({ page, farm }) => {
  await page.goto("/trust");
  const waiting = page.getByRole("region", { name: "Waiting for approval" });
  await expect(waiting.getByRole("listitem")).toHaveCount(2);

  await farm.say("knocks", { device: await deviceNamed(page, "cam-0422") });

  await expect(waiting.getByRole("link", { name: "cam-0422" })).toBeVisible();
});

test("an authority of one's own is made, downloaded and followed by its successor", async ({ page }) => {
  await page.goto("/trust/authorities");
  await page.getByRole("button", { name: "New authority" }).click();
  await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("North fleet");
  await page.getByRole("button", { name: "Make it" }).click();
  await expect(page.getByRole("heading", { name: "North fleet" })).toBeVisible();
  await expect(page.getByText("It has issued nothing that has not ended.")).toBeVisible();

  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download the certificate" }).click();
  const file = await download;
  expect(file.suggestedFilename()).toMatch(/^aut-.*\.pem$/);
  expect(readFileSync(await file.path(), "utf8")).toMatch(/^-----BEGIN CERTIFICATE-----/);

  await page.getByRole("button", { name: "Make a successor" }).click();
  await page.getByRole("button", { name: "Make the successor" }).click();
  await expect(page.getByText("No device needs this one any more: retire it.")).toBeVisible();
});

test("what an authority issued is narrowed to what ends soon, and one is revoked", async ({ page }) => {
  await page.goto("/trust/authorities");
  await page.getByRole("link", { name: /aut-NEW00001/ }).click();
  const issued = page.getByRole("region", { name: "What it issued" });
  await expect(issued.getByRole("listitem")).toHaveCount(50);
  await issued.getByRole("button", { name: "More" }).click();
  await expect(issued.getByRole("listitem")).toHaveCount(61);
  await issued.getByLabel("Show").selectOption("ends in 30 days");
  await expect(issued.getByRole("listitem")).toHaveCount(5);
  await expect(issued.getByRole("listitem").nth(1)).toContainText("its key may be in other hands");

  await issued.getByRole("button", { name: /^Revoke the certificate of oxy-0417/ }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("A session of oxy-0417 that began with it ends at once.");
  await dialog.getByLabel("Because").selectOption("its key may be in other hands");
  await dialog.getByRole("button", { name: "Revoke it" }).click();

  await expect(issued.getByRole("listitem").first()).toContainText("Revoked just now: its key may be in other hands");
  await issued.getByRole("searchbox").fill("nobody");
  await expect(issued.getByText("Nothing here is for nobody.")).toBeVisible();
});

test("who may only look sees whose certificates count, and why nothing can be changed", async ({ page, context }) => {
  await context.clearCookies();
  await logIn(page, VISITOR);
  await page.goto("/trust");
  await expect(page.getByRole("button", { name: "Remove Tidemark" })).toHaveAttribute("aria-disabled", "true");
  await expect(page.getByRole("button", { name: "Add an authority" })).toHaveAttribute("aria-disabled", "true");

  await page.getByRole("link", { name: "Own authorities" }).click();
  await expect(page.getByText("The authorities of your company are for administrators.")).toBeVisible();
});

test("a server that is away is said so in place, and what was loaded stays", async ({ page, farm }) => {
  await page.goto("/trust");
  await expect(page.getByRole("listitem", { name: "Tidemark", exact: true })).toBeVisible();
  await farm.say("away");

  await page.getByRole("button", { name: "Remove Tidemark" }).click();
  await page.getByRole("button", { name: "Remove, and cut 38 devices off" }).click();

  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("Not removed (Shoal's API does not answer).");
});
