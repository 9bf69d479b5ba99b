/** The browser of these tests: Debian's package; another is named by CHROMIUM. */
export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Nothing but the pages under test: no sandbox inside a container, no calls home. */
export const ALONE = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
