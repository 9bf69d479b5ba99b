/** Reads QR codes in pictures: the browser's own reader where it has one, a library's where it has none. */

type Detector = { detect: (picture: ImageBitmapSource) => Promise<{ rawValue: string }[]> };
type Native = { new (options: { formats: string[] }): Detector; getSupportedFormats: () => Promise<string[]> };

let known: Promise<Detector> | null = null;

export function detector(): Promise<Detector> {
  known ??= find();
  return known;
}

async function find(): Promise<Detector> {
  const native = (globalThis as { BarcodeDetector?: Native }).BarcodeDetector;
  if (native && (await native.getSupportedFormats().catch((): string[] => [])).includes("qr_code")) {
    return new native({ formats: ["qr_code"] });
  }
  // 14 kB that most phones never load.
  const { BarcodeDetector } = await import("qr/decode.js");
  return new BarcodeDetector({ formats: ["qr_code"] });
}

/** The text of the code in a picture; null when there is none that can be read. */
export async function textIn(picture: ImageBitmapSource): Promise<string | null> {
  const codes = await (await detector()).detect(picture);
  return codes[0]?.rawValue || null;
}

/** A photo has many more pixels than a code needs, and a phone has to look at all of them. */
const PHOTO_SIDE_MAX = 1_600;

/** The text of the code in a photo; null when there is none, or the file is no picture. */
export async function textInPhoto(file: Blob): Promise<string | null> {
  try {
    const whole = await createImageBitmap(file);
    const scale = Math.min(1, PHOTO_SIDE_MAX / Math.max(whole.width, whole.height));
    const small = await createImageBitmap(whole, {
      resizeWidth: Math.max(1, Math.round(whole.width * scale)),
      resizeHeight: Math.max(1, Math.round(whole.height * scale)),
      resizeQuality: "high",
    });
    return await textIn(small);
  } catch {
    return null;
  }
}
