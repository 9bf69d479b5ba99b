/** Which authorities may sign for our devices, how many devices need each of them, and who waits at the door? */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useBlockedBy } from "../../api/actions";
import { why } from "../../api/client";
import { trustQuery, useApproveDevice } from "../../api/trust";
import { Age } from "../../ui/age";
import { Area } from "../../ui/area";
import { Button } from "../../ui/button";
import { Empty, Wrong } from "../../ui/notice";
import { Section } from "../../ui/page";
import { count, date, saidPlace } from "../../ui/words";
import { AddDialog, ChangeDialog, RemoveDialog } from "./anchor-dialogs";
import { End, Fact, Facts, Tabs } from "./area";
import { Proof } from "./proof";
import css from "./trust.module.css";
import { type Anchor, changing, refusal, type TrustScreen, unplaced, users, verdict, wayOf } from "./words";

export function AnchorsPage() {
  const answer = useQuery(trustQuery);
  const blockedBy = useBlockedBy("administer");
  const [isAdding, setAdding] = useState(false);
  return (
    <Area
      title="Trust anchors"
      tabs={<Tabs />}
      answer={answer}
      why={why(answer.error)}
      actions={
        <Button look="primary" blockedBy={blockedBy} onClick={() => setAdding(true)}>
          Add an authority
        </Button>
      }
    >
      {(screen) => (
        <>
          {screen.waiting.length > 0 && <Waiting screen={screen} blockedBy={blockedBy} />}
          <Anchors screen={screen} blockedBy={blockedBy} />
          {isAdding && <AddDialog onClose={() => setAdding(false)} />}
        </>
      )}
    </Area>
  );
}

function Waiting({ screen, blockedBy }: { screen: TrustScreen; blockedBy: string | null }) {
  const { waiting, has_more_waiting } = screen;
  const approve = useApproveDevice();
  return (
    <Section
      title="Waiting for approval"
      beside={<span className="muted">{has_more_waiting ? `more than ${waiting.length}` : count(waiting.length)}</span>}
    >
      <div className={`card ${css.block}`}>
        <p className={`pad muted ${css.lead}`}>
          Nobody added these devices. Their certificates are good: approve those that you know, and they are let in when
          they try again.
        </p>
        {approve.isError && <Wrong>{refusal("Not approved", approve.error)}</Wrong>}
        <ul>
          {waiting.map(({ device, endpoint, credential, since, claim }) => {
            const says = claim?.name ? `Approve, into ${claim.name}` : "Approve";
            return (
              <li key={credential} className={css.line}>
                <p className={css.what}>
                  <Link to="/devices/$device/credentials" params={{ device }}>
                    {endpoint || device}
                  </Link>
                  {since && (
                    <span className="muted">
                      came <Age at={since} />
                    </span>
                  )}
                  <span className="muted">{saidPlace(claim)}</span>
                </p>
                <Button
                  blockedBy={blockedBy}
                  isBusy={approve.isPending && approve.variables.credential === credential}
                  aria-label={`${says}: ${endpoint || device}`}
                  onClick={() =>
                    approve.mutate({ device, credential, enclosure: claim?.name ? claim.enclosure : null })
                  }
                >
                  {says}
                </Button>
              </li>
            );
          })}
        </ul>
      </div>
    </Section>
  );
}

function Anchors({ screen, blockedBy }: { screen: TrustScreen; blockedBy: string | null }) {
  const living = screen.anchors.filter((anchor) => anchor.state !== "retired");
  const removed = screen.anchors.filter((anchor) => anchor.state === "retired");
  const most = Math.max(...living.map((anchor) => anchor.devices), 1);
  return (
    <Section title="Who may sign">
      <p className={css.verdict}>{verdict(screen)}</p>
      <div className={`card ${css.block}`}>
        {living.length === 0 && (
          <Empty title="No trust anchor yet.">
            <p>
              Devices with keys need none. For devices with certificates, add the authority that signed them, or{" "}
              <Link to="/trust/authorities">let Shoal issue certificates</Link>.
            </p>
          </Empty>
        )}
        <ul>
          {living.map((anchor) => (
            <Line key={anchor.id} anchor={anchor} screen={screen} most={most} blockedBy={blockedBy} />
          ))}
        </ul>
      </div>
      {unplaced(screen).map((says) => (
        <p key={says} className="muted">
          {says}
        </p>
      ))}
      {removed.length > 0 && <Removed anchors={removed} />}
    </Section>
  );
}

function Line({
  anchor,
  screen,
  most,
  blockedBy,
}: {
  anchor: Anchor;
  screen: TrustScreen;
  most: number;
  blockedBy: string | null;
}) {
  const [asked, setAsked] = useState<"change" | "remove" | null>(null);
  const close = () => setAsked(null);
  const change = changing(anchor);
  return (
    <li className={css.anchor} aria-label={anchor.name}>
      <div className={css.about}>
        <p className={css.what}>
          <b>{anchor.name}</b> <State anchor={anchor} />
        </p>
        <p>
          {users(anchor)} {anchor.not_after && <End at={anchor.not_after} isSoon={anchor.ends_soon} />}
        </p>
        {anchor.state === "trusted" && <Share devices={anchor.devices} most={most} />}
        {anchor.ends_soon && !anchor.is_over && anchor.devices > 0 && !change && (
          <p className={css.soon}>Each of them needs a certificate of another trust anchor before it ends.</p>
        )}
        {change && <p className={anchor.successor ? css.soon : undefined}>{change}</p>}
        {anchor.namesakes.length > 0 && (
          <p className="muted">
            {anchor.namesakes.join(", ")} bears the same name: who of them signed is not told apart, and each counts the
            devices of both.
          </p>
        )}
        <p className="muted">{wayOf(anchor)}</p>
        <Certificate anchor={anchor} />
      </div>
      <div className={css.acts}>
        <Button blockedBy={blockedBy} aria-label={`Change ${anchor.name}`} onClick={() => setAsked("change")}>
          Change
        </Button>
        {!anchor.authority && (
          <Button
            look="danger"
            blockedBy={blockedBy}
            aria-label={`Remove ${anchor.name}`}
            onClick={() => setAsked("remove")}
          >
            Remove
          </Button>
        )}
      </div>
      {anchor.proof && <Proof anchor={anchor} blockedBy={blockedBy} />}
      {asked === "change" && <ChangeDialog anchor={anchor} onClose={close} />}
      {asked === "remove" && <RemoveDialog anchor={anchor} screen={screen} onClose={close} />}
    </li>
  );
}

function State({ anchor }: { anchor: Anchor }) {
  if (anchor.state === "unproved") return <span className={css.soon}>Not proved yet</span>;
  if (anchor.is_over) return <span className={css.bad}>Ended: it lets nobody in</span>;
  if (!anchor.authority) return <span className="muted">Trusted</span>;
  return (
    <span className="muted">
      Trusted,{" "}
      <Link to="/trust/authorities/$authority" params={{ authority: anchor.authority }}>
        your own authority {anchor.authority}
      </Link>
    </span>
  );
}

/** How many devices need it, beside the others: the number stands in the sentence above. */
function Share({ devices, most }: { devices: number; most: number }) {
  return (
    <span className={css.share} aria-hidden="true">
      <span style={{ width: `${(100 * devices) / most}%` }} />
    </span>
  );
}

function Certificate({ anchor }: { anchor: Anchor }) {
  return (
    <details className={css.other}>
      <summary>
        Certificate<span className="sr"> of {anchor.name}</span>
      </summary>
      <Facts>
        <Fact name="Subject">{anchor.subject}</Fact>
        <Fact name="SHA-256">
          <code>{anchor.fingerprint}</code>
        </Fact>
        <Fact name="Serial">
          <code>{anchor.serial}</code>
        </Fact>
        {anchor.not_before && <Fact name="Good from">{date(new Date(anchor.not_before))}</Fact>}
        {anchor.created_at && (
          <Fact name="Added">
            <Age at={anchor.created_at} />
            {anchor.created_by && ` by ${anchor.created_by}`}
          </Fact>
        )}
        <Fact name="Id">
          <code>{anchor.id}</code>
        </Fact>
      </Facts>
    </details>
  );
}

function Removed({ anchors }: { anchors: Anchor[] }) {
  return (
    <details className={css.other}>
      <summary>{count(anchors.length)} removed</summary>
      <ul className="muted">
        {anchors.map((anchor) => (
          <li key={anchor.id}>
            {anchor.name}, {anchor.subject}
            {anchor.retired_at && (
              <>
                , removed <Age at={anchor.retired_at} />
              </>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}
