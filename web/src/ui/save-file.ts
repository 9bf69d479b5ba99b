/** Hands the reader something as a file of their own. */
export function saveFile(data: Uint8Array<ArrayBuffer> | string, name: string): void {
  const address = URL.createObjectURL(new Blob([data]));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
