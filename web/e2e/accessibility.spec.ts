import type { Page } from "@playwright/test";
import { NOTHING, violations } from "./axe";
import { deviceNamed, expect, IDA, logIn, test, wellDevice } from "./invented";

/** A wet glove hits this much; smaller targets are for mice. */
const TARGET_PX_MIN = 44;

/** Every screen by its name: what to open, and what shows that it is there. */
const SCREENS: Record<string, (page: Page) => Promise<void>> = {
  fleet: async (page) => open(page, "/", "Storholmen is dark"),
  farm: async (page) => {
    await page.goto("/");
    await page.getByRole("link", { name: "Storholmen", exact: true }).click();
    await expect(page.getByRole("heading", { name: "Enclosures" })).toBeVisible();
  },
  devices: async (page) => open(page, "/devices", "cam-0422"),
  people: async (page) => open(page, "/people", "Kari Moe"),
  policies: async (page) => open(page, "/policies", "Kari Moe may write"),
  "a policy being written": async (page) => {
    await open(page, "/policies", "Kari Moe may write");
    await page.getByRole("button", { name: "New policy" }).click();
    await page.getByRole("checkbox", { name: "execute" }).check();
    await expect(page.getByText("2 people gain.")).toBeVisible();
  },
  "why somebody may not": async (page) =>
    open(page, "/policies/why?subject=usr-KAR00002&operation=execute&path=/3/0/5", "No: no policy allows it."),
  "no devices": async (page) => open(page, "/devices?q=nothing", "without the filter"),
  "a silent device": async (page) => open(page, `/devices/${await deviceNamed(page, "oxy-0417")}`, "Dissolved oxygen"),
  timeline: async (page) => open(page, `/devices/${await deviceNamed(page, "oxy-0417")}/timeline`, "Battery low"),
  update: async (page) => {
    const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
    await open(page, `/devices/${camera.id}/update`, "Install");
    await page.getByRole("button", { name: /Install lice-detector/ }).click();
    await expect(page.getByText("waiting").first()).toBeVisible();
  },
  "a command that waits": async (page) => {
    const sensor = await wellDevice(page, { isAsleep: true, kind: "sensor" });
    await open(page, `/devices/${sensor.id}`, "LwM2M Server");
    await page.getByRole("searchbox", { name: "Name or path" }).fill("/3/0/9");
    await page.getByRole("button", { name: "Read Battery Level" }).click();
    await expect(page.getByText("Queued, waiting for wake-up.")).toBeVisible();
  },
  "a write": async (page) => {
    const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
    await open(page, `/devices/${camera.id}`, "LwM2M Server");
    await page.getByRole("searchbox", { name: "Name or path" }).fill("Lifetime");
    await page.getByRole("button", { name: "Write Lifetime" }).click();
    await page.getByRole("dialog").getByLabel("Lifetime").fill("5");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("dialog").getByRole("alert")).toBeVisible();
  },
  "a tree of every type": async (page) => {
    const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
    await open(page, `/devices/${camera.id}`, "LwM2M Server");
    await page.getByText("Reports by itself", { exact: true }).click();
    await page.getByRole("searchbox", { name: "Name or path" }).fill("feeder");
    await page.getByRole("button", { name: "Read /32001/0" }).click();
    await expect(page.getByText("11 values, from")).toBeVisible();
  },
  "how something is reported": async (page) => {
    const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
    await open(page, `/devices/${camera.id}`, "LwM2M Server");
    await page.getByRole("searchbox", { name: "Name or path" }).fill("feeder");
    await page.getByRole("button", { name: "Reporting Rate" }).click();
    await page.getByLabel(/report this by itself/).selectOption("yes, on this device");
    await page.getByRole("dialog").getByText("More", { exact: true }).click();
    await page.getByRole("button", { name: /^Ask / }).click();
    await expect(page.getByText("Nothing is set for this path.")).toBeVisible();
  },
  "a new instance": async (page) => {
    const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
    await open(page, `/devices/${camera.id}`, "LwM2M Server");
    await page.getByRole("searchbox", { name: "Name or path" }).fill("feeder");
    await page.getByRole("button", { name: "New instance of Feeder" }).click();
    await page.getByLabel("Rate").fill("9");
    await page.getByRole("button", { name: /^Make it on/ }).click();
    await expect(page.getByRole("dialog").getByRole("alert")).toBeVisible();
  },
  "a search": async (page) => {
    await open(page, "/", "Storholmen is dark");
    await page.getByRole("button", { name: "Search" }).first().click();
    await page.getByRole("combobox").fill("oxy");
    await expect(page.getByRole("option").first()).toBeVisible();
  },
  "adding a device": async (page) => open(page, "/add", "Photo of the code"),
  "a new device": async (page) => {
    await open(page, "/add", "Photo of the code");
    await page.getByRole("button", { name: "Go on without a code" }).click();
    await page.getByLabel("Endpoint name").fill("oxy-0999");
    await page.getByRole("button", { name: "Scan its label" }).click();
    await expect(page.getByRole("dialog")).toBeVisible();
  },
  "the key of a new device": async (page) => {
    await open(page, "/add", "Photo of the code");
    await page.getByRole("button", { name: "Go on without a code" }).click();
    await page.getByLabel("Endpoint name").fill("oxy-0999");
    await page.getByRole("button", { name: "Add the device" }).click();
    await expect(page.getByText("Waiting for the first contact")).toBeVisible();
  },
  "the credentials of a device": async (page) =>
    open(page, `/devices/${await deviceNamed(page, "oxy-0418")}/credentials`, "Goes on until"),
  "a new credential": async (page) => {
    await open(page, `/devices/${await deviceNamed(page, "oxy-0418")}/credentials`, "Goes on until");
    await page.getByRole("button", { name: "New key" }).click();
    await expect(page.getByRole("dialog")).toBeVisible();
  },
  "revoking a certificate": async (page) => {
    await open(page, `/devices/${await deviceNamed(page, "oxy-0419")}/credentials`, "CN=Nordvik devices");
    await page.getByRole("button", { name: /^Revoke/ }).click();
    await expect(page.getByRole("dialog")).toContainText("It is the last one.");
  },
  "the trust anchors": async (page) => open(page, "/trust", "may sign for your devices"),
  "an authority being added": async (page) => {
    await open(page, "/trust", "may sign for your devices");
    await page.getByRole("button", { name: "Add an authority" }).click();
    await page
      .getByRole("dialog")
      .getByLabel(/Keep it waiting/)
      .check();
    await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("Havbruk");
    await page
      .getByRole("dialog")
      .getByLabel(/^Certificate of the authority/)
      .fill("none");
    await page.getByRole("dialog").getByRole("button", { name: "Add it" }).click();
    await expect(page.getByRole("dialog").getByRole("alert")).toBeVisible();
  },
  "an authority being removed": async (page) => {
    await open(page, "/trust", "may sign for your devices");
    await page.getByRole("button", { name: "Remove Tidemark" }).click();
    await expect(page.getByRole("dialog")).toContainText("38 devices");
  },
  "the own authorities": async (page) => open(page, "/trust/authorities", "gives way to its successor"),
  "a new authority": async (page) => {
    await open(page, "/trust/authorities", "gives way to its successor");
    await page.getByRole("button", { name: "New authority" }).click();
    await page.getByRole("button", { name: "Make it" }).click();
    await expect(page.getByRole("dialog").getByRole("alert")).toBeVisible();
  },
  "an own authority": async (page) => open(page, "/trust/authorities/aut-NEW00001", "oxy-0420"),
  "an authority that gives way": async (page) => {
    await open(page, "/trust/authorities/aut-01D00001", "have not changed over");
    await page.getByRole("button", { name: "Retire it" }).click();
    await expect(page.getByRole("dialog")).toContainText("for ever");
  },
  "a certificate being revoked": async (page) => {
    await open(page, "/trust/authorities/aut-NEW00001", "oxy-0420");
    await page.getByRole("button", { name: /^Revoke the certificate of oxy-0420/ }).click();
    await expect(page.getByRole("dialog")).toBeVisible();
  },
  "what ends soon": async (page) => open(page, "/credentials", "needs a new one"),
  labels: async (page) => open(page, "/labels", "none of them holds a key"),
  "a single label": async (page) => open(page, "/labels?format=single", "none of them holds a key"),
  "the security log": async (page) => open(page, "/security", "14 times"),
  "the audit log": async (page) => open(page, "/settings/audit", "By the feeding barge"),
  welcome: async (page) => open(page, "/welcome#shoal_first", "You become an administrator"),
  "a link that is over": async (page) => open(page, "/welcome#shoal_old", "does not work any more"),
  escalation: async (page) => open(page, "/escalation", "Night shift"),
  "an escalation policy": async (page) => {
    await open(page, "/escalation/pol-00000001", "Step 1");
    await page.getByRole("button", { name: "Add a step" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("alert")).toContainText("Step 4 ends in nobody");
  },
  contacts: async (page) => open(page, "/settings/contacts", "550 no such user"),
  "a contact": async (page) => {
    await open(page, "/settings/contacts", "Kari Moe");
    await page.getByRole("button", { name: "Edit Kari Moe" }).click();
  },
  channels: async (page) => open(page, "/settings/channels", "answered 202"),
  "the secret of a webhook": async (page) => {
    await open(page, "/settings/channels", "Duty phone");
    await page.getByRole("button", { name: "New secret for Duty phone" }).click();
    await page.getByRole("button", { name: "Make a new secret" }).click();
    await expect(page.getByText("whsec_")).toBeVisible();
  },
  alerts: async (page) => open(page, "/alerts", "Needs a person"),
  "an alert": async (page) => open(page, "/alerts/alr-00A7K2", "Who was told"),
  "an acknowledge": async (page) => {
    await open(page, "/alerts/alr-00A7K2", "Who was told");
    await page
      .getByRole("article")
      .getByRole("button", { name: /Acknowledge/ })
      .click();
    await expect(page.getByRole("dialog")).toBeVisible();
  },
  resolved: async (page) => open(page, "/alerts?state=resolved", "Supply lost, Pen 2"),
  "not found": async (page) => open(page, "/devices/dev-0000000", "could not be loaded"),
};

async function open(page: Page, path: string, shows: string): Promise<void> {
  await page.goto(path);
  await expect(page.getByText(shows).first()).toBeVisible();
}

test("what is wrong in one theme alone is found in that theme alone", async ({ page }) => {
  await page.goto("/login");
  await page.getByRole("heading", { name: "Log in to Shoal" }).evaluate((heading) => {
    heading.style.color = "light-dark(#15202b, #27323c)";
  });

  const { light, dark } = await violations(page);

  expect(light).toEqual([]);
  expect(dark).toEqual([expect.stringMatching(/^color-contrast: <h1/)]);
});

for (const [size, options] of Object.entries({
  desk: {},
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
} as const)) {
  // Light and dark are of one load: a page changes its theme without one. A phone is another browser from the start.
  test.describe(`${size}, light and dark`, () => {
    test.use(options);

    test("axe finds nothing at the login", async ({ page }) => {
      await page.goto("/login");
      await expect(page.getByRole("heading", { name: "Log in to Shoal" })).toBeVisible();

      expect(await violations(page)).toEqual(NOTHING);
    });

    for (const [name, show] of Object.entries(SCREENS)) {
      const more = size === "phone" ? ", it fits, and every target can be hit" : "";
      test(`axe finds nothing at ${name}${more}`, async ({ page }) => {
        await logIn(page, IDA);

        await show(page);

        expect(await violations(page)).toEqual(NOTHING);
        if (size === "phone") {
          expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
          expect(await page.evaluate(smallTargets, TARGET_PX_MIN)).toEqual([]);
        }
      });
    }

    test("axe finds nothing when all is stale and delayed", async ({ page, farm }) => {
      await logIn(page);
      await farm.say("delayed");

      await open(page, "/devices", "Monitoring delayed");

      expect(await violations(page)).toEqual(NOTHING);
    });
  });
}

/** What can be pressed and is lower than a finger. Hit-tested, so that a link which fills its row counts as the row. */
function smallTargets(least: number): string[] {
  const open = document.querySelector("dialog[open]") ?? document.body;
  const small: string[] = [];
  for (const element of open.querySelectorAll("a, button, input, select, summary")) {
    // Links inside a sentence are as high as the sentence (WCAG 2.2, 2.5.8).
    if (element.closest("p") || !element.checkVisibility() || getComputedStyle(element).clipPath !== "none") continue;
    element.scrollIntoView({ block: "center" });
    const box = element.getBoundingClientRect();
    const x = box.left + Math.min(box.width / 2, 12);
    const hits = (y: number) => {
      const at = document.elementFromPoint(x, y);
      return at !== null && (element.contains(at) || at.closest("label")?.contains(element) === true);
    };
    let top = box.top + box.height / 2;
    if (!hits(top)) continue; // beneath something else, like the skip link above the page
    let bottom = top;
    while (bottom - top < least && (hits(top - 1) || hits(bottom + 1))) {
      if (hits(top - 1)) top -= 1;
      if (hits(bottom + 1)) bottom += 1;
    }
    if (bottom - top < least - 1) small.push(`${element.textContent?.trim()} ${Math.round(bottom - top)} px`);
  }
  return small;
}
