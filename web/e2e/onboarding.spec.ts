import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeQR } from "qr";
import { ALONE, CHROMIUM } from "./chromium";
import { deviceNamed, expect, logIn, test, VISITOR } from "./invented";

const KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const CODE = `SHOAL:1;ep=oxy-0501;kind=sensor;k=${KEY}`;

/** What a camera sees that is held over a code: 640 by 480, grey, in the middle (YUV4MPEG2, as Chromium reads it). */
function film(text: string): string {
  const [width, height, module] = [640, 480, 8];
  const code = encodeQR(text, "raw", { border: 4 });
  const [left, top] = [(width - code.length * module) >> 1, (height - code.length * module) >> 1];
  const luma = Buffer.alloc(width * height, 150);
  for (const [y, row] of code.entries()) {
    for (const [x, isDark] of row.entries()) {
      for (let line = 0; line < module; line++) {
        const at = (top + y * module + line) * width + left + x * module;
        luma.fill(isDark ? 30 : 230, at, at + module);
      }
    }
  }
  const frame = Buffer.concat([Buffer.from("FRAME\n"), luma, Buffer.alloc((width * height) / 2, 128)]);
  const file = join(mkdtempSync(join(tmpdir(), "shoal-film-")), "code.y4m");
  writeFileSync(
    file,
    Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420\n`), frame, frame]),
  );
  return file;
}

test.use({
  permissions: ["camera"],
  launchOptions: {
    executablePath: CHROMIUM,
    args: [
      ...ALONE,
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-video-capture=${film(CODE)}`,
    ],
  },
});

test.beforeEach(async ({ page }) => logIn(page));

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("a technician scans a device in, and the page says when it is here", async ({ page, farm }) => {
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto("/");
    await page.getByRole("link", { name: "Scan" }).click();

    await expect(page.getByLabel("Endpoint name")).toHaveValue("oxy-0501");
    await expect(page.getByText("Its key came with the code (16 bytes).")).toBeVisible();
    await page.getByLabel("Enclosure").selectOption({ label: "Pen 2" });
    await page.getByRole("button", { name: "Add the device" }).click();

    await expect(page.getByText("Waiting for the first contact of oxy-0501")).toBeVisible();
    // Somebody has made a typing error; perhaps it is this one.
    await expect(page.getByText("oxy-501", { exact: true })).toBeVisible();
    await farm.say("refused", { reason: "wrong_key", device: "dev-NEW0001", count: 2 });
    await expect(page.getByRole("alert")).toContainText("Refused 2 times");

    await farm.say("arrives", { endpoint: "oxy-0501" });
    await expect(page.getByText("oxy-0501 is here")).toBeVisible();
    await expect(page.getByRole("listitem").filter({ hasText: "It is in Pen 2" })).toContainText("Done:");
    await page.getByRole("link", { name: "Open its page" }).click();
    await expect(page).toHaveURL(/devices\/dev-NEW0001/);

    expect(asked.filter((url) => url.toLowerCase().includes(KEY))).toEqual([]);
    expect(
      await page.evaluate(() => JSON.stringify([history.state, { ...localStorage }, { ...sessionStorage }])),
    ).not.toContain(KEY);
  });
});

test("a photo of a code does as well, and one without a code says so", async ({ page }) => {
  await page.goto("/add");
  const picture = (await import("qr")).encodeQR(CODE, "gif", { scale: 6 });
  const photo = page.locator("input[type=file]");

  await photo.setInputFiles({ name: "cat.gif", mimeType: "image/gif", buffer: Buffer.from("GIF89a no picture") });
  await expect(page.getByRole("alert")).toContainText("No code can be read in this picture.");
  await photo.setInputFiles({ name: "code.gif", mimeType: "image/gif", buffer: Buffer.from(picture) });

  await expect(page.getByLabel("Endpoint name")).toHaveValue("oxy-0501");
});

test("what is typed may be a label, a name or nonsense", async ({ page }) => {
  const typed = page.getByLabel("Or type its name");
  await page.goto("/add");
  await typed.fill("https://example.com/win");
  await typed.press("Enter");
  await expect(page.getByRole("alert")).toContainText("none of Shoal");

  const { farms } = await (await page.request.get("/bff/screens/places")).json();
  await typed.fill(`https://elsewhere.example/farms/x#${farms[1].enclosures[0].id}`);
  await typed.press("Enter");
  await expect(page.getByRole("status").filter({ hasText: "Into" })).toContainText(farms[1].name);
  await typed.fill("enc-0000000");
  await typed.press("Enter");
  await expect(page.getByRole("alert")).toContainText("No enclosure of yours has the id enc-0000000.");

  const known = await deviceNamed(page, "oxy-0418");
  await typed.fill(known.toLowerCase());
  await typed.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/devices/${known}$`));
});

test("a device without a code gets a key that is shown once, and the next goes into the same enclosure", async ({
  page,
}) => {
  await page.goto("/add");
  await page.getByRole("button", { name: "Go on without a code" }).click();
  await page.getByLabel("Endpoint name").fill("oxy-0418");
  await page.getByLabel("Enclosure").selectOption({ label: "Pen 1" });
  await page.getByRole("button", { name: "Add the device" }).click();
  await expect(page.getByRole("alert")).toContainText("another device has this endpoint name");

  await page.getByLabel("Endpoint name").fill("oxy-0777");
  await page.getByRole("button", { name: "Add the device" }).click();
  await expect(page.getByText("You will not see this key again.")).toBeVisible();
  await expect(page.getByRole("img", { name: "Code with the key of oxy-0777" })).toBeVisible();

  await page.reload();
  await expect(page.getByText("Waiting for the first contact of oxy-0777")).toBeVisible();
  await expect(page.getByText("You will not see this key again.")).toHaveCount(0);
  await page.getByRole("button", { name: "Next device, same enclosure" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Into Pen 1" })).toBeVisible();
});

test("who may only look is told so before anything is sent", async ({ page, context }) => {
  await context.clearCookies();
  await logIn(page, VISITOR);
  await page.goto("/add");
  await page.getByRole("button", { name: "Go on without a code" }).click();
  await page.getByLabel("Endpoint name").fill("oxy-0778");

  await expect(page.getByRole("button", { name: "Add the device" })).toHaveAttribute("aria-disabled", "true");
});
