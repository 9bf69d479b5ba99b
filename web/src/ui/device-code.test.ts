import { describe, expect, it } from "vitest";
import { codeText, scanned } from "./device-code";
import vectors from "./device-code.vectors.json";

const KEY = "00112233445566778899aabbccddeeff";

describe("the code of a new device", () => {
  it("says all that Shoal has to know of it", () => {
    const found = scanned(`shoal:1;ep=oxy-0501;kind=camera;i=id 1;k=${KEY.toUpperCase()};enc=enc-7K3M2QX;colour=red`);

    expect(found).toEqual({
      is: "new device",
      code: {
        endpoint: "oxy-0501",
        kind: "camera",
        mode: "psk",
        identity: "id 1",
        key: KEY,
        enclosure: "enc-7K3M2QX",
        server: "",
      },
    });
  });

  it("needs nothing but a name", () => {
    expect(scanned("SHOAL:1;ep=oxy-0501")).toMatchObject({
      code: { kind: "sensor", mode: "psk", identity: "oxy-0501", key: "" },
    });
  });

  it.each([
    { endpoint: "urn:imei:351756051523999" },
    {
      endpoint: "a;b=c%d ø",
      identity: "other;%3B",
      key: KEY,
      kind: "camera",
      server: "coaps://10.0.0.1:5684",
    } as const,
    { endpoint: "cam-1", mode: "x509", enclosure: "enc-7K3M2QX" } as const,
  ])("is read as it was written: %o", (code) => {
    expect(scanned(codeText(code))).toMatchObject({ is: "new device", code });
  });

  it.each(vectors)("is written as the server writes it: $text", ({ text, ...code }) => {
    expect(codeText(code)).toBe(text);
    expect(scanned(text)).toMatchObject({ is: "new device", code });
  });

  it.each([
    ["SHOAL:1;", "does not say the name"],
    ["SHOAL:1;ep=", "does not say the name"],
    ["SHOAL:1;ep=a%00b", "does not say the name"],
    ["SHOAL:1;ep=%E0%A4%A", "broken field"],
    ["SHOAL:1;ep=a;kind=boat", 'of a "boat"'],
    ["SHOAL:1;ep=a;m=none", 'asks for "none"'],
    ["SHOAL:1;ep=a;k=xyz", "not hexadecimal"],
    ["SHOAL:1;ep=a;k=00112233445566", "not 8 to 64 bytes"],
    ["SHOAL:2;ep=a", "version 2"],
    [`SHOAL:1;ep=${"a".repeat(1_000)}`, "too long"],
    ["", "empty"],
  ])("that cannot be one says why: %s", (text, why) => {
    const found = scanned(text);

    expect(found.is === "wrong" && found.why).toContain(why);
  });
});

describe("a label", () => {
  it.each([
    ["https://shoal.example/devices/dev-9f2k7t4a", { is: "device", id: "dev-9F2K7T4A" }],
    ["https://shoal.example/farms/frm-4QX9T2BC#enc-7K3M2QXA", { is: "enclosure", id: "enc-7K3M2QXA" }],
    ["https://shoal.example/add?enclosure=enc-7K3M2QXA", { is: "enclosure", id: "enc-7K3M2QXA" }],
    ["enc-7k3m2qxa", { is: "enclosure", id: "enc-7K3M2QXA" }],
  ])("leads to its thing: %s", (text, thing) => {
    expect(scanned(text)).toEqual(thing);
  });

  it("of somebody else leads nowhere", () => {
    expect(scanned("https://example.com/win-a-prize")).toMatchObject({ is: "wrong" });
    expect(scanned("a\u0000b")).toMatchObject({ is: "wrong" });
  });

  it("of a maker may have nothing but the name", () => {
    expect(scanned(" urn:imei:351756051523999 ")).toEqual({ is: "name", text: "urn:imei:351756051523999" });
  });
});
