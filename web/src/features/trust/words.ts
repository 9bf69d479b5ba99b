/** What the pages about trust say: who may sign, what a change does before it is made, and what to do about a refusal. */
import { Problem, type Shown, why } from "../../api/client";
import { plural } from "../../ui/words";

export type TrustScreen = Shown["TrustScreen"];
export type Anchor = Shown["AnchorLine"];
export type Authority = Shown["AuthorityLine"];
export type ZeroTouch = Anchor["zero_touch"];

/** What becomes of a device that nobody added and whose certificate is good. */
export const WAYS: Record<ZeroTouch, { title: string; says: string }> = {
  off: {
    title: "Turn it away",
    says: "Only devices that somebody added come in. The others stand in the security log.",
  },
  approve: {
    title: "Keep it waiting",
    says: "Shoal makes a device of that name, in no enclosure, and lets it in when somebody approves it on this page.",
  },
  admit: {
    title: "Let it in",
    says: "Shoal makes a device of that name, in no enclosure, and lets it in when it tries again. Whoever gets a certificate of this authority can add devices of yours: only for one that signs for nobody but you.",
  },
};

export function wayOf({ zero_touch, kind }: Anchor): string {
  const devices = `${kind}s that nobody added`;
  switch (zero_touch) {
    case "off":
      return "Devices that nobody added are turned away.";
    case "approve":
      return `It brings in ${devices}, when somebody approves them.`;
    case "admit":
      return `It brings in ${devices} by itself.`;
  }
}

export function verdict({ anchors }: TrustScreen): string {
  const trusted = anchors.filter((anchor) => anchor.state === "trusted" && !anchor.is_over).length;
  if (trusted === 0) return "No authority may sign for your devices: with certificates nobody comes in.";
  return trusted === 1 ? "1 authority may sign for your devices." : `${trusted} authorities may sign for your devices.`;
}

/** Devices that hang on no anchor of the list, as far as we know: they may still be cut off by removing one. */
export function unplaced({ elsewhere, unseen }: Pick<TrustScreen, "elsewhere" | "unseen">): string[] {
  return [
    ...(elsewhere > 0
      ? [
          `${plural(elsewhere, "device")} showed a certificate of an authority in between. Which trust anchor is above it is not kept.`,
        ]
      : []),
    ...(unseen > 0
      ? [`${plural(unseen, "device")} with a certificate ${unseen === 1 ? "has" : "have"} not come yet.`]
      : []),
  ];
}

export function users({ devices, state }: Anchor): string {
  if (state === "unproved") return "It lets nobody in before it is proved.";
  return devices === 0
    ? "No device showed a certificate of it."
    : `${plural(devices, "device")} showed a certificate of it last.`;
}

/** How far a change from one authority to the next has come, from the side of this one; empty where there is none. */
export function changing({ successor, succeeds, devices }: Anchor): string {
  if (successor) {
    if (devices === 0) return `It gives way to ${successor}, and no device needs it any more: retire it.`;
    return `It gives way to ${successor}. ${plural(devices, "device")} ${devices === 1 ? "has" : "have"} not changed over: leave it until none is left.`;
  }
  return succeeds ? `It takes over from ${succeeds}.` : "";
}

/** What happens when an anchor is removed, to be read before. */
export function removal(anchor: Anchor, screen: TrustScreen): string[] {
  if (anchor.state === "unproved") return ["It lets nobody in yet, so nothing changes for any device."];
  if (anchor.is_over) return ["It has ended and lets nobody in already, so nothing changes for any device."];
  const others = screen.anchors.some((one) => one.id !== anchor.id && one.state === "trusted" && !one.is_over);
  const cut =
    anchor.devices > 0
      ? `${plural(anchor.devices, "device")} showed a certificate of it last. Their sessions end at once, and they come in again only with a certificate of ${others ? "another trust anchor" : "a trust anchor, of which there is none then"}.`
      : "No device showed a certificate of it.";
  return [
    cut,
    ...(anchor.namesakes.length > 0
      ? [`${anchor.namesakes.join(", ")} bears the same name: which of them signed for a device is not told apart.`]
      : []),
    ...(screen.elsewhere > 0
      ? [`${unplaced({ elsewhere: screen.elsewhere, unseen: 0 })[0]} If it is this one, they are cut off, too.`]
      : []),
    "To trust it again, it has to be added and proved anew.",
  ];
}

/** What happens when an authority of one's own is retired. */
export function retirement({ devices, state, successor }: Authority): string[] {
  return [
    "Nothing that it issued counts any more, for ever: certificates of devices and of servers.",
    devices > 0
      ? `${plural(devices, "device")} showed a certificate of it last. Their sessions end at once, and each needs a new certificate to come in again.`
      : "No device showed a certificate of it last.",
    ...(state === "current" && !successor
      ? ["It has no successor: make one first, and devices change over by themselves."]
      : []),
  ];
}

/** What the server says, and what to do about it. */
const REMEDIES: [string, string][] = [
  [
    "no certificate in PEM",
    "It begins with -----BEGIN CERTIFICATE-----. Choose the file with the certificate, not its key.",
  ],
  ["certificates, expected 1", "Give the one of the authority itself, without the chain."],
  ["P-256 or P-384", "Devices speak no other curves: the authority needs a key on one of these."],
  [
    "may not issue others",
    "This is the certificate of a device or server. Give that of the authority which signed it.",
  ],
  ["it has expired", "Ask its maker for the one that is in force."],
  ["is a trust anchor already", "Look for it in the list: perhaps it only has to be proved."],
  ["trust anchors have this name", "Remove one of that name that no device needs."],
  ["retire one", "Remove one that no device needs."],
  [
    "in use elsewhere",
    "An authority can be one company's alone. Take an intermediate authority that signs for you only.",
  ],
  [
    "common name is not the challenge",
    "Copy the challenge of step 1 once more: the certificate has to bear exactly that name.",
  ],
  ["it is not valid now", "Make it anew. Are the clocks of both machines right?"],
  ["did not issue it", "Sign it with the key that belongs to the certificate which you added."],
  [
    "key did not make it",
    "Sign exactly the challenge, without a line break, with the key of the authority: ECDSA with SHA-256.",
  ],
  ["challenge is over", "Remove this one and add it again: that makes a new challenge."],
  ["does not wait for approval", "Somebody was faster. The list shows how it is now."],
];

export function refusal(not: string, error: unknown): string {
  if (!(error instanceof Problem) || error.status < 400 || error.status >= 500) return `${not} ${why(error)}`;
  const remedy = REMEDIES.find(([said]) => error.title.includes(said))?.[1] ?? "";
  return `${not} ${why(error)}${remedy && ` ${remedy}`}`;
}
