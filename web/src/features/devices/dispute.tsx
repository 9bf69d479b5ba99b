/** When a device and the inventory disagree about where it is, a person decides. */
import { useBlockedBy, useSettleClaim } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icon";
import css from "./device.module.css";

export function Dispute({ screen }: { screen: Shown["DeviceScreen"] }) {
  const { device, claim } = screen;
  const settle = useSettleClaim(device.id);
  const blockedBy = useBlockedBy("write");
  if (device.place.state === "agreed" || !claim) return null;
  const here = device.place.enclosure_name || "no enclosure";
  const there = [claim.farm_name !== device.place.farm_name ? claim.farm_name : "", claim.enclosure_name]
    .filter(Boolean)
    .join(", ");
  const canAccept = device.place.state === "mismatch";
  return (
    <section className={css.dispute} aria-label="Place disputed">
      <Icon name="move" />
      <div className={css.disputeText}>
        <p>
          <b>
            {device.name} says it is in {there}.
          </b>{" "}
          The inventory says {here}. Moved?
        </p>
        <p className="small">
          {reason(device.place.state)}{" "}
          {claim.at && (
            <>
              First said <Age at={claim.at} />.
            </>
          )}
        </p>
        {settle.isError && <p role="alert">Not settled {why(settle.error)}</p>}
      </div>
      <div className="row">
        {canAccept && (
          <Button isBusy={settle.isPending} blockedBy={blockedBy} onClick={() => settle.mutate("accept")}>
            Accept {claim.enclosure_name}
          </Button>
        )}
        <Button isBusy={settle.isPending} blockedBy={blockedBy} onClick={() => settle.mutate("keep")}>
          Keep {here}
        </Button>
      </div>
    </section>
  );
}

function reason(state: Shown["PlaceShown"]["state"]): string {
  switch (state) {
    case "mismatch":
      return "Until this is settled its readings do not count for either.";
    case "unknown":
      return "No enclosure has that id; perhaps it was typed wrongly into the device.";
    case "foreign":
      return "That enclosure is not yours, so what it reports is kept apart.";
    case "agreed":
      return "";
  }
}
