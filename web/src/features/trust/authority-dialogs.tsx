/** An authority of one's own is made, gives way to a successor, or ends; a certificate is taken back. */
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import type { Shown } from "../../api/client";
import { type Reason, useAddAuthority, useRetireAuthority, useRevokeCertificate, useRollOver } from "../../api/trust";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { Wrong } from "../../ui/notice";
import { plural } from "../../ui/words";
import css from "./trust.module.css";
import { type Authority, refusal, retirement } from "./words";

type Named = Shown["AuthorityNamed"];

const YEARS = [5, 10, 20, 40];

export function NewAuthorityDialog({ roots, onClose }: { roots: Named[]; onClose: () => void }) {
  const [name, setName] = useState("");
  const [years, setYears] = useState(20);
  const [under, setUnder] = useState("");
  const add = useAddAuthority();
  const navigate = useNavigate();
  const save = (event: FormEvent) => {
    event.preventDefault();
    add.mutate(
      { name, years, under },
      { onSuccess: ({ id }) => void navigate({ to: "/trust/authorities/$authority", params: { authority: id } }) },
    );
  };
  return (
    <Dialog title="New authority" onClose={onClose}>
      <form className={css.form} onSubmit={save} noValidate>
        <p className="muted">
          Shoal makes a key for it, keeps that encrypted, and lets devices with its certificates in from now on.
        </p>
        <TextField
          label="Name"
          hint="It stands in every certificate, for ever."
          value={name}
          maxLength={64}
          onChange={(event) => setName(event.target.value)}
        />
        <SelectField label="Good for" value={years} onChange={(event) => setYears(Number(event.target.value))}>
          {YEARS.map((each) => (
            <option key={each} value={each}>
              {each} years
            </option>
          ))}
        </SelectField>
        {roots.length > 0 && (
          <SelectField label="Stands under" value={under} onChange={(event) => setUnder(event.target.value)}>
            <option value="">nothing: it is a root of its own</option>
            <Choices named={roots} />
          </SelectField>
        )}
        {add.isError && <Wrong>{refusal("Not made", add.error)}</Wrong>}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit" isBusy={add.isPending}>
            Make it
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

export function SuccessorDialog({
  authority,
  roots,
  onClose,
}: {
  authority: Authority;
  roots: Named[];
  onClose: () => void;
}) {
  const isRoot = authority.levels === 1;
  const [under, setUnder] = useState(isRoot ? "" : (roots[0]?.id ?? ""));
  const rollOver = useRollOver();
  return (
    <Dialog title={`A successor for ${authority.name}?`} onClose={onClose}>
      <p>
        The successor has a key of its own and issues from now on. {authority.name} issues nothing more, and what it has
        issued counts until you retire it.
      </p>
      <p>Devices that renew by themselves change over when they do. The others need a new certificate by hand.</p>
      {!isRoot && (
        <SelectField label="Stands under" value={under} onChange={(event) => setUnder(event.target.value)}>
          <Choices named={roots} />
        </SelectField>
      )}
      {!isRoot && roots.length === 0 && (
        <p className={css.bad}>Nothing that issues is there to put it under. Make a root first.</p>
      )}
      {rollOver.isError && <Wrong>{refusal("Nothing was changed", rollOver.error)}</Wrong>}
      <DialogActions>
        <Button onClick={onClose}>Leave it</Button>
        <Button
          look="primary"
          isBusy={rollOver.isPending}
          blockedBy={!isRoot && !under ? "There is nothing to put it under." : null}
          onClick={() => rollOver.mutate({ id: authority.id, under }, { onSuccess: onClose })}
        >
          Make the successor
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function Choices({ named }: { named: Named[] }) {
  return named.map(({ id, name }) => (
    <option key={id} value={id}>
      {name} ({id})
    </option>
  ));
}

/** Nothing brings it back: where devices need it, its name has to be typed. */
export function RetireDialog({ authority, onClose }: { authority: Authority; onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const retire = useRetireAuthority();
  const needsName = authority.devices > 0;
  return (
    <Dialog title={`Retire ${authority.name}?`} onClose={onClose}>
      {retirement(authority).map((says) => (
        <p key={says}>{says}</p>
      ))}
      {needsName && (
        <TextField
          label={`Type ${authority.name} to go on`}
          value={typed}
          autoComplete="off"
          onChange={(event) => setTyped(event.target.value)}
        />
      )}
      {retire.isError && <Wrong>{refusal("Not retired", retire.error)}</Wrong>}
      <DialogActions>
        <Button onClick={onClose}>Leave it</Button>
        <Button
          look="danger"
          isBusy={retire.isPending}
          blockedBy={needsName && typed.trim() !== authority.name ? "Type its name first." : null}
          onClick={() => retire.mutate(authority.id, { onSuccess: onClose })}
        >
          {needsName ? `Retire it, and cut ${plural(authority.devices, "device")} off` : "Retire it"}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

export const REASONS: Record<Reason, string> = {
  unspecified: "another reason",
  keyCompromise: "its key may be in other hands",
  superseded: "it was replaced",
  cessationOfOperation: "it is out of use",
};

export function RevokeDialog({ certificate, onClose }: { certificate: Shown["CertificateLine"]; onClose: () => void }) {
  const [reason, setReason] = useState<Reason>("unspecified");
  const revoke = useRevokeCertificate();
  const { subject, usage } = certificate;
  return (
    <Dialog title={`Revoke the certificate of ${subject}?`} onClose={onClose}>
      <p>It counts no more, and nothing brings it back.</p>
      <p>
        {usage === "server"
          ? "Devices that ask for the list of what is revoked connect to this server no more, until it shows another one."
          : `A session of ${subject} that began with it ends at once. It comes in again with another certificate or key that it has, or gets.`}
      </p>
      <SelectField label="Because" value={reason} onChange={(event) => setReason(event.target.value as Reason)}>
        {Object.entries(REASONS).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </SelectField>
      {revoke.isError && <Wrong>{refusal("Not revoked", revoke.error)}</Wrong>}
      <DialogActions>
        <Button onClick={onClose}>Leave it</Button>
        <Button
          look="danger"
          isBusy={revoke.isPending}
          onClick={() => revoke.mutate({ id: certificate.id, reason }, { onSuccess: onClose })}
        >
          Revoke it
        </Button>
      </DialogActions>
    </Dialog>
  );
}
