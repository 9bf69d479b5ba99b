import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { Shown } from "../../api/client";
import { saidPlace } from "../../ui/words";
import { Approval } from "./approval";

const approve = vi.hoisted(() => vi.fn());
vi.mock("../../api/actions", () => ({ useBlockedBy: () => null }));
vi.mock("../../api/trust", () => ({
  useApproveDevice: () => ({ mutate: approve, isError: false, isPending: false, error: null }),
}));

afterEach(() => {
  cleanup();
  approve.mockClear();
});

type Claim = Shown["CredentialsScreen"]["claim"];
const PEN: Claim = { enclosure: "enc-1", name: "Pen 4", farm: "North", state: "agreed" };

function shown(claim: Claim) {
  const credential = { id: "crd-1", state: "waiting" } as Shown["CredentialLine"];
  const page = { claim, items: [credential], endpoint: "cam-9" } as unknown as Shown["CredentialsScreen"];
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Approval credential={credential} screen={page} device="dev-1" />
    </QueryClientProvider>,
  );
}

it("one click lets a device in where it says it is", () => {
  shown(PEN);
  fireEvent.click(screen.getByRole("button", { name: "Approve, and put it into Pen 4" }));
  expect(approve).toHaveBeenCalledWith({ device: "dev-1", credential: "crd-1", enclosure: "enc-1" });
});

it("where it says nothing that counts, it is let in without a place", () => {
  shown({ enclosure: "pen four", name: "", farm: "", state: "unknown" });
  expect(screen.getAllByRole("button").map((button) => button.textContent)).toEqual(["Approve, in no enclosure"]);
  fireEvent.click(screen.getByRole("button"));
  expect(approve).toHaveBeenCalledWith({ device: "dev-1", credential: "crd-1", enclosure: null });
});

it("says where that is, and why it may not count", () => {
  expect(saidPlace(null)).toBe("It has not said where it is.");
  expect(saidPlace(PEN)).toBe("It says that it is in Pen 4, North.");
  expect(saidPlace({ enclosure: "enc-9", name: "", farm: "", state: "foreign" })).toMatch(/not yours/);
  expect(saidPlace({ enclosure: "pen four", name: "", farm: "", state: "unknown" })).toMatch(/does not exist/);
});
