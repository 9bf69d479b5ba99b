/** Who is there, as what, and where; programs beside them. */
import { Link } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { useAddPerson, useChangePerson } from "../../api/access";
import type { Shown } from "../../api/client";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import css from "./access.module.css";
import { Area, type Screen, Wrong } from "./area";
import { PlacesField } from "./places-field";
import { heldAt, ROLES } from "./words";

type Person = Shown["PersonLine"];

export function PeoplePage() {
  const [isNew, setNew] = useState(false);
  return (
    <Area
      title="People"
      actions={
        <Button look="primary" onClick={() => setNew(true)}>
          New person
        </Button>
      }
    >
      {(screen) => (
        <>
          <ul className={`card ${css.rows}`} aria-label="People">
            {screen.people.map((person) => (
              <Row key={person.id} screen={screen} person={person} />
            ))}
          </ul>
          <h2 className={css.section}>Tokens</h2>
          <Tokens screen={screen} />
          {isNew && <NewPerson screen={screen} onClose={() => setNew(false)} />}
        </>
      )}
    </Area>
  );
}

function Row({ screen, person }: { screen: Screen; person: Person }) {
  const [isEdited, setEdited] = useState(false);
  return (
    <li className={css.row}>
      <div>
        <p className={css.says}>
          {person.name} {person.is_you && <span className="muted">(you)</span>}
        </p>
        <p className="small muted">
          {person.email} · {person.role} {heldAt(person.places)}
          {person.is_disabled && " · may not log in"}
        </p>
      </div>
      <div className={css.acts}>
        <Link to="/policies/why" search={{ subject: person.id }} aria-label={`What may ${person.name} do, and why`}>
          Why
        </Link>
        <Button aria-label={`Edit ${person.name}`} onClick={() => setEdited(true)}>
          Edit
        </Button>
      </div>
      {isEdited && <EditPerson screen={screen} person={person} onClose={() => setEdited(false)} />}
    </li>
  );
}

function Tokens({ screen }: { screen: Screen }) {
  if (screen.tokens.length === 0) {
    return <p className="muted">No program has a token. They are made with the API or the command line.</p>;
  }
  return (
    <ul className={`card ${css.rows}`} aria-label="Tokens">
      {screen.tokens.map((token) => (
        <li key={token.id} className={css.row}>
          <div>
            <p className={css.says}>{token.name}</p>
            <p className="small muted">
              {token.owner ? `of ${token.owner}` : "a service"} · {token.role} {heldAt(token.places)}
              {token.is_revoked && " · revoked"}
            </p>
          </div>
          <p className="small muted">{token.last_used_at ? <Age at={token.last_used_at} /> : "never used"}</p>
        </li>
      ))}
    </ul>
  );
}

function Role({ value, onChange }: { value: string; onChange: (role: string) => void }) {
  return (
    <SelectField label="Role" value={value} onChange={(event) => onChange(event.target.value)}>
      {ROLES.map((role) => (
        <option key={role}>{role}</option>
      ))}
    </SelectField>
  );
}

function EditPerson({ screen, person, onClose }: { screen: Screen; person: Person; onClose: () => void }) {
  const [name, setName] = useState(person.name);
  const [role, setRole] = useState(person.role);
  const [places, setPlaces] = useState(person.places.map((place) => place.id));
  const [isDisabled, setDisabled] = useState(person.is_disabled);
  const write = useChangePerson();
  useClosed(write.isSuccess, onClose);
  const save = (event: FormEvent) => {
    event.preventDefault();
    write.mutate({ id: person.id, body: { name, role, places, disabled: isDisabled } });
  };
  return (
    <Dialog title={`Edit ${person.name}`} onClose={onClose}>
      <form onSubmit={save} className={css.form} noValidate>
        <TextField label="Name" value={name} maxLength={120} onChange={(event) => setName(event.target.value)} />
        <Role value={role} onChange={setRole} />
        <PlacesField screen={screen} chosen={places} onChange={setPlaces} />
        <label className={css.acts}>
          <input type="checkbox" checked={isDisabled} onChange={(event) => setDisabled(event.target.checked)} />
          May not log in
        </label>
        {write.isError && <Wrong error={write.error} not="Not saved" />}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit" isBusy={write.isPending}>
            Save
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

function NewPerson({ screen, onClose }: { screen: Screen; onClose: () => void }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState("viewer");
  const [places, setPlaces] = useState<string[]>([]);
  const add = useAddPerson();
  useClosed(add.isSuccess, onClose);
  const save = (event: FormEvent) => {
    event.preventDefault();
    add.mutate({ name, email, password, role, places });
  };
  return (
    <Dialog title="New person" onClose={onClose}>
      <form onSubmit={save} className={css.form} noValidate>
        <TextField label="Name" value={name} maxLength={120} onChange={(event) => setName(event.target.value)} />
        <TextField
          label="Mail address"
          type="email"
          autoComplete="off"
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <TextField
          label="First password"
          type="password"
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <Role value={role} onChange={setRole} />
        <PlacesField screen={screen} chosen={places} onChange={setPlaces} />
        {add.isError && <Wrong error={add.error} not="Not added" />}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit" isBusy={add.isPending}>
            Add
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

function useClosed(isDone: boolean, onClose: () => void) {
  useEffect(() => {
    if (isDone) onClose();
  }, [isDone, onClose]);
}
