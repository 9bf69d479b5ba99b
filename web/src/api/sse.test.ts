import { describe, expect, it } from "vitest";
import { BlockReader } from "./sse";

describe("a stream of server-sent events", () => {
  it("hands out a block once it is whole, however it was cut", () => {
    const reader = new BlockReader();

    expect(reader.read("id: 1-7\nevent: sta")).toEqual([]);
    expect(reader.read('tus\ndata: {"device":"dev-1"}\n')).toEqual([]);
    expect(reader.read("\n")).toEqual([{ id: "1-7", event: "status", data: '{"device":"dev-1"}' }]);
  });

  it("shows heartbeats, which are comments", () => {
    expect(new BlockReader().read(": heartbeat\n\n")).toEqual([{ id: null, event: "", data: "" }]);
  });

  it("keeps the place of a block that only names one", () => {
    expect(new BlockReader().read("id: 1-9\n: connected\n\n")).toEqual([{ id: "1-9", event: "", data: "" }]);
  });
});
