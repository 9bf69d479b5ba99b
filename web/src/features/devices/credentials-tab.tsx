/** What a device proves itself with: in which state, until when, last used; a new one, and an end to an old one. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useBlockedBy } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { credentialsQuery } from "../../api/queries";
import { Age, Time } from "../../ui/age";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { clockTime, moment } from "../../ui/words";
import { Approval } from "./approval";
import { NewCredentialDialog, RevokeDialog } from "./credential-dialogs";
import css from "./credentials.module.css";

type Screen = Shown["CredentialsScreen"];
type Credential = Shown["CredentialLine"];

export function CredentialsTab() {
  const { device } = useParams({ from: "/inside/devices/$device" });
  const { data, isError, error, refetch, dataUpdatedAt } = useQuery(credentialsQuery(device));
  return (
    <section className="card" aria-label="Credentials">
      {isError && (
        <Failed
          what="The credentials could not be loaded"
          why={why(error)}
          dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
          onRetry={() => void refetch()}
        />
      )}
      {data ? (
        <Credentials screen={data} device={device} />
      ) : (
        !isError && <Skeleton rows={2} height={96} label="Loading the credentials" />
      )}
    </section>
  );
}

function Credentials({ screen, device }: { screen: Screen; device: string }) {
  const blockedBy = useBlockedBy("administer");
  const [asked, setAsked] = useState<"psk" | "x509" | null>(null);
  const isKeyed = screen.mode !== "x509";
  return (
    <>
      <div className={css.head}>
        <p className="muted">{words(screen)}</p>
        <span className="space" />
        <Button blockedBy={blockedBy} onClick={() => setAsked("x509")}>
          {isKeyed ? "Use a certificate" : "Pin a certificate"}
        </Button>
        <Button look="primary" blockedBy={blockedBy} onClick={() => setAsked("psk")}>
          New key
        </Button>
      </div>
      {screen.items.length === 0 && (
        <Empty title="This device has no credential.">
          <p>
            {screen.mode === "none"
              ? "It speaks without security: anybody could pretend to be it."
              : "It cannot connect."}
          </p>
        </Empty>
      )}
      <ul className={css.lines}>
        {screen.items.map((credential) => (
          <Line key={credential.id} credential={credential} screen={screen} device={device} />
        ))}
      </ul>
      {asked && <NewCredentialDialog mode={asked} screen={screen} device={device} onClose={() => setAsked(null)} />}
    </>
  );
}

function words({ alive, mode }: Screen): string {
  if (mode === "none") return "";
  if (alive === 0) return "With none of these it can connect.";
  return alive === 1 ? "It connects with one of these." : `It may connect with ${alive} of these.`;
}

export const STATES: Record<Credential["state"], string> = {
  current: "In use",
  next: "Waits for its first use",
  retiring: "Goes on until the new one is used",
  waiting: "Waits for approval: nobody added this device",
  revoked: "Revoked",
  expired: "Expired",
};

function Line({ credential, screen, device }: { credential: Credential; screen: Screen; device: string }) {
  const blockedBy = useBlockedBy("administer");
  const [isAsked, setAsked] = useState(false);
  const isOver = credential.state === "revoked" || credential.state === "expired";
  return (
    <li className={`${css.line} ${isOver ? css.over : ""}`}>
      <div className={css.what}>
        <p>
          <b>{credential.mode === "x509" ? "Certificate" : "Key"}</b> <State credential={credential} />
        </p>
        {credential.state === "waiting" && <Approval credential={credential} screen={screen} device={device} />}
        {credential.needs_key && <p className={css.bad}>Its key is lost. The device needs a new one.</p>}
        <Facts credential={credential} />
      </div>
      {!isOver && (
        <Button
          look="danger"
          blockedBy={blockedBy}
          aria-label={`Revoke ${credential.identity || credential.id}`}
          onClick={() => setAsked(true)}
        >
          Revoke
        </Button>
      )}
      {isAsked && (
        <RevokeDialog credential={credential} screen={screen} device={device} onClose={() => setAsked(false)} />
      )}
    </li>
  );
}

function State({ credential }: { credential: Credential }) {
  return <span className={credential.ends_soon ? css.soon : css.state}>{STATES[credential.state]}</span>;
}

function Facts({ credential }: { credential: Credential }) {
  const now = useNow(60_000);
  const { certificate } = credential;
  return (
    <dl className={css.facts}>
      {credential.identity && (
        <Fact name="Identity">
          <code>{credential.identity}</code>
        </Fact>
      )}
      {credential.expires_at && (
        <Fact name={new Date(credential.expires_at).getTime() < now ? "Ended" : "Ends"}>
          <Time at={credential.expires_at} text={moment(new Date(credential.expires_at), now)} />
        </Fact>
      )}
      <Fact name="Last used">{credential.last_used_at ? <Age at={credential.last_used_at} /> : "never"}</Fact>
      {credential.created_at && (
        <Fact name="Made">
          <Age at={credential.created_at} />
          {credential.created_by && ` by ${credential.created_by}`}
          {credential.is_from_bootstrap && ", handed out by the bootstrap server"}
        </Fact>
      )}
      {certificate && (
        <>
          <Fact name="Subject">{certificate.subject}</Fact>
          <Fact name="Issuer">{certificate.issuer}</Fact>
          <Fact name="Serial">
            <code>{certificate.serial}</code>
          </Fact>
          <Fact name="SHA-256">
            <code>{certificate.fingerprint}</code>
          </Fact>
        </>
      )}
      <Fact name="Id">
        <code>{credential.id}</code>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
