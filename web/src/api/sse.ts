/** Server-sent events (WHATWG HTML §9.2), read by hand: EventSource hides heartbeats and forgets where it was. */

export type Block = { id: string | null; event: string; data: string };

/** Feed it text as it comes; it hands out whole blocks. A block of comments only is a heartbeat: event "". */
export class BlockReader {
  private rest = "";

  read(text: string): Block[] {
    const parts = (this.rest + text).replaceAll("\r\n", "\n").split("\n\n");
    this.rest = parts.pop() ?? "";
    return parts.map(parse);
  }
}

function parse(block: string): Block {
  const found: Block = { id: null, event: "", data: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon === 0) continue; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") found.id = value;
    else if (name === "event") found.event = value;
    else if (name === "data") data.push(value);
  }
  found.data = data.join("\n");
  if (found.event === "" && data.length > 0) found.event = "message";
  return found;
}
