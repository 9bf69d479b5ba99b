/** A new credential for a device, and an end to one: each says first what will happen to the device. */
import { type FormEvent, useState } from "react";
import { type CredentialAsked, useNewCredential, useRevokeCredential } from "../../api/actions";
import { Problem, type Shown, why } from "../../api/client";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { AreaField, SelectField, TextField } from "../../ui/field";
import { KeyOnce } from "../../ui/key-once";
import { Wrong } from "../../ui/notice";
import css from "./credentials.module.css";

type Screen = Shown["CredentialsScreen"];

const DAY_S = 86_400;
/** How the old one ends: what the API calls `overlap_s` and `until`. */
const OVERLAPS = {
  seen: { text: "until the device uses the new one, for 7 days at most", overlap_s: 7 * DAY_S, until: "seen" },
  week: { text: "for 7 days, whatever the device uses", overlap_s: 7 * DAY_S, until: "end" },
  none: { text: "not at all: it is void at once, and the device is cut off", overlap_s: 0, until: "seen" },
} as const;
type Overlap = keyof typeof OVERLAPS;

export function NewCredentialDialog({
  mode,
  screen,
  device,
  onClose,
}: {
  mode: "psk" | "x509";
  screen: Screen;
  device: string;
  onClose: () => void;
}) {
  const [overlap, setOverlap] = useState<Overlap>("seen");
  const [identity, setIdentity] = useState("");
  const [secret, setSecret] = useState("");
  const [certificate, setCertificate] = useState("");
  const make = useNewCredential(device);
  const save = (event: FormEvent) => {
    event.preventDefault();
    const { overlap_s, until } = OVERLAPS[overlap];
    const asked: CredentialAsked = {
      mode,
      identity: identity.trim(),
      key: secret.trim(),
      certificate,
      overlap_s,
      until,
    };
    make.mutate(asked, { onSuccess: (made) => !made.key && onClose() });
  };
  if (make.data?.key) {
    return (
      <Dialog title={`The new key of ${screen.endpoint}`} onClose={onClose}>
        <KeyOnce endpoint={screen.endpoint} identity={make.data.identity} secret={make.data.key} />
        <DialogActions>
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </DialogActions>
      </Dialog>
    );
  }
  return (
    <Dialog title={mode === "psk" ? "A new key" : "A certificate"} onClose={onClose}>
      <form className={css.form} onSubmit={save} noValidate>
        {mode === "psk" ? (
          <>
            <TextField
              label="Identity"
              hint="Empty: a name of its own. Two keys at a time need two identities."
              value={identity}
              maxLength={128}
              autoComplete="off"
              spellCheck={false}
              onChange={(event) => setIdentity(event.target.value)}
            />
            <TextField
              label="Key"
              hint="Hexadecimal, when the device has one already. Empty: Shoal makes one and shows it once."
              value={secret}
              maxLength={256}
              autoComplete="off"
              spellCheck={false}
              onChange={(event) => setSecret(event.target.value)}
            />
          </>
        ) : (
          <AreaField
            label="Certificate (PEM)"
            hint="Pins this one. Empty: any that bears the name of the device and that one of your trust anchors has issued."
            rows={6}
            value={certificate}
            spellCheck={false}
            onChange={(event) => setCertificate(event.target.value)}
          />
        )}
        {screen.alive > 0 && (
          <SelectField
            label="The old one goes on"
            value={overlap}
            onChange={(event) => setOverlap(event.target.value as Overlap)}
          >
            {Object.entries(OVERLAPS).map(([value, { text }]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </SelectField>
        )}
        {make.isError && <Wrong>Nothing was changed {reason(make.error)}</Wrong>}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit" isBusy={make.isPending}>
            {mode === "psk" ? (secret.trim() ? "Take this key" : "Make a key") : "Take the certificate"}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

export function RevokeDialog({
  credential,
  screen,
  device,
  onClose,
}: {
  credential: Shown["CredentialLine"];
  screen: Screen;
  device: string;
  onClose: () => void;
}) {
  const revoke = useRevokeCredential(device);
  const isLast = screen.alive <= 1;
  const what = credential.mode === "x509" ? "certificate" : "key";
  return (
    <Dialog title={`Revoke this ${what}?`} onClose={onClose}>
      <p>It is void from now on, and nothing brings it back. A session that began with it ends at once.</p>
      {isLast ? (
        <p className={css.bad}>
          <b>It is the last one.</b> {screen.endpoint} cannot connect any more, until somebody puts a new one into it by
          hand.
        </p>
      ) : (
        <p>{screen.endpoint} can go on with what it has besides, if that has reached it.</p>
      )}
      {revoke.isError && <Wrong>Not revoked {reason(revoke.error)}</Wrong>}
      <DialogActions>
        <Button onClick={onClose}>Leave it</Button>
        <Button
          look="danger"
          isBusy={revoke.isPending}
          onClick={() => revoke.mutate({ credential: credential.id, last: isLast }, { onSuccess: onClose })}
        >
          {isLast ? `Revoke, and cut ${screen.endpoint} off` : `Revoke the ${what}`}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function reason(error: Error): string {
  return error instanceof Problem && error.status < 500 && error.status >= 400 ? `(${error.title}).` : why(error);
}
