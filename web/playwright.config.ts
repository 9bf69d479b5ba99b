import { defineConfig } from "@playwright/test";
import { ALONE, CHROMIUM } from "./e2e/chromium";

export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results",
  // Another suite runs beside this one on the other of two cores.
  workers: 1,
  // A browser on a busy machine may miss a beat; what fails twice is broken, and what failed once is listed as flaky.
  retries: 1,
  forbidOnly: true,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"]],
  use: {
    viewport: { width: 1440, height: 900 },
    locale: "en-GB",
    timezoneId: "Europe/Oslo",
    screenshot: "only-on-failure",
    launchOptions: { executablePath: CHROMIUM, args: ALONE },
  },
  projects: [
    // Over the invented farm: seconds each.
    { name: "pages", testIgnore: /(silent-camera|model-update|first-start|scan-in)\.spec\.ts/ },
    // Over the product itself, with its demo farm: minutes.
    {
      name: "product",
      testMatch: /(silent-camera|model-update|first-start|scan-in)\.spec\.ts/,
      timeout: 300_000,
      expect: { timeout: 30_000 },
    },
  ],
});
