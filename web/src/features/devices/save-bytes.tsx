/** Bytes as a file of the reader's own. */
import { Button } from "../../ui/button";
import { saveFile } from "../../ui/save-file";
import { fromBase64 } from "./value";

/** For a value that is whole; nothing where there are no bytes. */
export function SaveBytes({ value, path, name }: { value: unknown; path: string; name: string }) {
  const data = typeof value === "string" ? fromBase64(value) : null;
  if (!data || data.length === 0) return null;
  return (
    <>
      {" "}
      <Button look="mini" onClick={() => saveFile(data, `${path.slice(1).replaceAll("/", "-")}.bin`)}>
        Save<span className="sr"> {name} as a file</span>
      </Button>
    </>
  );
}
