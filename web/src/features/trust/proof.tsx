/** How an authority is shown to be one's own, step by step: its key answers a challenge. */
import { type FormEvent, useState } from "react";
import { useProveAnchor } from "../../api/trust";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { CopyButton } from "../../ui/copy";
import { Wrong } from "../../ui/notice";
import { until } from "../../ui/words";
import { PemField } from "./pem-field";
import css from "./trust.module.css";
import { type Anchor, refusal } from "./words";

export function Proof({ anchor, blockedBy }: { anchor: Anchor; blockedBy: string | null }) {
  const { proof } = anchor;
  const now = useNow(60_000);
  if (!proof) return null;
  if (proof.is_over) {
    return (
      <p className={css.bad}>
        Nobody answered its challenge within a week. Remove it and add it again: that makes a new challenge.
      </p>
    );
  }
  return (
    <section className={css.proof} aria-label={`Prove ${anchor.name}`}>
      <h3>Show that it is yours</h3>
      <p className="muted">
        Only who has the key of the authority can answer. The key stays where it is: Shoal never asks for it.
      </p>
      <ol>
        <li>
          <p>
            <b>Take the challenge</b> to the machine that has the key of the authority, or send it to whoever has it.
            {proof.expires_at && ` It is good until ${until(new Date(proof.expires_at), now)}.`}
          </p>
          <code className={css.code}>{proof.challenge}</code>
          <div className={css.copy}>
            <CopyButton text={proof.challenge}>Copy the challenge</CopyButton>
          </div>
        </li>
        <li>
          <p>
            <b>Let the key answer there</b>, in the folder with <code>ca.pem</code> and <code>ca.key</code>. This makes{" "}
            <code>proof.pem</code>, a certificate whose name is the challenge:
          </p>
          <code className={css.code}>{proof.certificate_command}</code>
          <div className={css.copy}>
            <CopyButton text={proof.certificate_command}>Copy the command</CopyButton>
          </div>
          <details className={css.other}>
            <summary>Or sign the challenge itself</summary>
            <p>Where the key lies in a device that signs and issues nothing. This prints the answer:</p>
            <code className={css.code}>{proof.signature_command}</code>
            <div className={css.copy}>
              <CopyButton text={proof.signature_command}>Copy this command</CopyButton>
            </div>
          </details>
        </li>
        <li>
          <p>
            <b>Bring the answer back</b>: the certificate, or the signature.
          </p>
          <Answer anchor={anchor} blockedBy={blockedBy} />
        </li>
      </ol>
    </section>
  );
}

function Answer({ anchor, blockedBy }: { anchor: Anchor; blockedBy: string | null }) {
  const [answer, setAnswer] = useState("");
  const [isMissing, setMissing] = useState(false);
  const prove = useProveAnchor();
  const send = (event: FormEvent) => {
    event.preventDefault();
    setMissing(!answer.trim());
    if (answer.trim()) prove.mutate({ id: anchor.id, answer });
  };
  return (
    <form className={css.form} onSubmit={send} noValidate>
      <PemField
        label="Answer"
        hint="What stands in proof.pem, or the line that the other command printed."
        accept=".pem,.crt,.cer,.der,.sig,.txt"
        value={answer}
        onValue={setAnswer}
      />
      {isMissing && <Wrong>Paste the answer, or choose its file.</Wrong>}
      {prove.isError && !isMissing && <Wrong>{refusal("Not proved", prove.error)}</Wrong>}
      <div className="row">
        <Button look="primary" type="submit" blockedBy={blockedBy} isBusy={prove.isPending}>
          Prove it
        </Button>
      </div>
    </form>
  );
}
