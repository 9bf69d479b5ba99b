/** A device that came by itself with a good certificate: where it says it is, and one click that lets it in there. */
import { useBlockedBy } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { useApproveDevice } from "../../api/trust";
import { Button } from "../../ui/button";
import { Wrong } from "../../ui/notice";
import { saidPlace } from "../../ui/words";
import css from "./credentials.module.css";

export function Approval({
  credential,
  screen,
  device,
}: {
  credential: Shown["CredentialLine"];
  screen: Shown["CredentialsScreen"];
  device: string;
}) {
  const blockedBy = useBlockedBy("administer");
  const approve = useApproveDevice();
  const { claim } = screen;
  const there = claim?.name ? claim : null;
  return (
    <>
      <p>
        It came by itself, with a certificate that one of your trust anchors has issued. {saidPlace(claim)} Until
        somebody approves it, nothing that it measures is taken.
      </p>
      {approve.isError && <Wrong>Not approved. {why(approve.error)}</Wrong>}
      <div className={css.buttons}>
        {there && (
          <Button
            look="primary"
            blockedBy={blockedBy}
            isBusy={approve.isPending}
            onClick={() => approve.mutate({ device, credential: credential.id, enclosure: there.enclosure })}
          >
            Approve, and put it into {there.name}
          </Button>
        )}
        <Button
          look={there ? "normal" : "primary"}
          blockedBy={blockedBy}
          isBusy={approve.isPending}
          onClick={() => approve.mutate({ device, credential: credential.id, enclosure: null })}
        >
          Approve, in no enclosure
        </Button>
      </div>
    </>
  );
}
