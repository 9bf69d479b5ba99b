/** An authority is added, changed or removed. What that does to devices is said before. */
import { type FormEvent, useId, useState } from "react";
import { useAddAnchor, useChangeAnchor, useRemoveAnchor } from "../../api/trust";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { Wrong } from "../../ui/notice";
import { plural } from "../../ui/words";
import { PemField } from "./pem-field";
import css from "./trust.module.css";
import { type Anchor, refusal, removal, type TrustScreen, WAYS, type ZeroTouch } from "./words";

export function AddDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [certificate, setCertificate] = useState("");
  const [ways, setWays] = useState<Ways>({ zero_touch: "off", kind: "sensor" });
  const [missing, setMissing] = useState("");
  const add = useAddAnchor();
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (!name.trim()) return setMissing("Give it a name by which people know whose it is.");
    if (!certificate.trim()) return setMissing("Paste the certificate of the authority, or choose its file.");
    setMissing("");
    add.mutate({ name, certificate, ...ways }, { onSuccess: onClose });
  };
  return (
    <Dialog title="Add an authority" onClose={onClose}>
      <form className={css.form} onSubmit={save} noValidate>
        <p className="muted">
          Whoever makes or looks after your devices has an authority that signs their certificates. Add its certificate
          here; then show that it is yours, because anybody can copy a certificate. Until then it lets nobody in.
        </p>
        <TextField label="Name" value={name} maxLength={80} onChange={(event) => setName(event.target.value)} />
        <PemField
          label="Certificate of the authority (PEM)"
          hint="It begins with -----BEGIN CERTIFICATE-----. The authority itself, no chain and no key."
          accept=".pem,.crt,.cer,.der"
          value={certificate}
          onValue={setCertificate}
        />
        <WaysField ways={ways} onChange={setWays} />
        {missing && <Wrong>{missing}</Wrong>}
        {add.isError && !missing && <Wrong>{refusal("Not added", add.error)}</Wrong>}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit" isBusy={add.isPending}>
            Add it
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

export function ChangeDialog({ anchor, onClose }: { anchor: Anchor; onClose: () => void }) {
  const [name, setName] = useState(anchor.name);
  const [ways, setWays] = useState<Ways>({ zero_touch: anchor.zero_touch, kind: anchor.kind });
  const change = useChangeAnchor();
  const save = (event: FormEvent) => {
    event.preventDefault();
    change.mutate({ id: anchor.id, body: { name, ...ways } }, { onSuccess: onClose });
  };
  return (
    <Dialog title={`Change ${anchor.name}`} onClose={onClose}>
      <form className={css.form} onSubmit={save} noValidate>
        <TextField label="Name" value={name} maxLength={80} onChange={(event) => setName(event.target.value)} />
        <WaysField ways={ways} onChange={setWays} />
        {change.isError && <Wrong>{refusal("Not saved", change.error)}</Wrong>}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit" isBusy={change.isPending}>
            Save
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

type Ways = { zero_touch: ZeroTouch; kind: string };

function WaysField({ ways, onChange }: { ways: Ways; onChange: (ways: Ways) => void }) {
  const id = useId();
  return (
    <>
      <fieldset className={css.ways}>
        <legend>A device that nobody added shows a good certificate of it</legend>
        {(Object.keys(WAYS) as ZeroTouch[]).map((way) => (
          <label key={way}>
            <input
              type="radio"
              name="zero-touch"
              checked={ways.zero_touch === way}
              aria-labelledby={`${id}-${way}`}
              aria-describedby={`${id}-${way}-says`}
              onChange={() => onChange({ ...ways, zero_touch: way })}
            />
            <span>
              <b id={`${id}-${way}`}>{WAYS[way].title}</b>
              <span id={`${id}-${way}-says`} className="muted">
                {WAYS[way].says}
              </span>
            </span>
          </label>
        ))}
      </fieldset>
      {ways.zero_touch !== "off" && (
        <SelectField
          label="Take such devices for"
          value={ways.kind}
          onChange={(event) => onChange({ ...ways, kind: event.target.value })}
        >
          <option value="sensor">sensors</option>
          <option value="camera">cameras</option>
        </SelectField>
      )}
    </>
  );
}

export function RemoveDialog({
  anchor,
  screen,
  onClose,
}: {
  anchor: Anchor;
  screen: TrustScreen;
  onClose: () => void;
}) {
  const remove = useRemoveAnchor();
  return (
    <Dialog title={`Remove ${anchor.name}?`} onClose={onClose}>
      {removal(anchor, screen).map((says) => (
        <p key={says}>{says}</p>
      ))}
      {remove.isError && <Wrong>{refusal("Not removed", remove.error)}</Wrong>}
      <DialogActions>
        <Button onClick={onClose}>Leave it</Button>
        <Button
          look="danger"
          isBusy={remove.isPending}
          onClick={() => remove.mutate(anchor.id, { onSuccess: onClose })}
        >
          {anchor.devices > 0 && !anchor.is_over
            ? `Remove, and cut ${plural(anchor.devices, "device")} off`
            : `Remove ${anchor.name}`}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
