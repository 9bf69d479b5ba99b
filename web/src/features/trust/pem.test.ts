import { expect, test } from "vitest";
import { textOf } from "./pem";

const der = (length: number) => Uint8Array.from({ length }, (_, at) => (at === 0 ? 0x30 : at % 251));

test("text stays as it is, also when it begins with what DER begins with", () => {
  const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

  expect(textOf(new TextEncoder().encode(pem))).toBe(pem);
  expect(textOf(new TextEncoder().encode("0aGVsbG8="))).toBe("0aGVsbG8=");
  expect(textOf(new Uint8Array())).toBe("");
});

test("the bytes of a certificate become PEM, in lines of 64 characters", () => {
  const lines = textOf(der(400)).split("\n");

  expect(lines[0]).toBe("-----BEGIN CERTIFICATE-----");
  expect(lines.at(-2)).toBe("-----END CERTIFICATE-----");
  expect(lines.slice(1, -2).every((line) => line.length <= 64)).toBe(true);
  expect(Uint8Array.from(atob(lines.slice(1, -2).join("")), (each) => each.charCodeAt(0))).toEqual(der(400));
});

test("the bytes of a signature become base64 in one line", () => {
  expect(atob(textOf(der(72)))).toHaveLength(72);
});
