/** A policy is written like a sentence: who, may or may not, what, on which paths, where. What it means is shown first. */
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { previewQuery, type Seen, useWriteSentence } from "../../api/access";
import type { Shown } from "../../api/client";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import css from "./access.module.css";
import { type Screen, Wrong } from "./area";
import { balance, isOfServers, operationsOf, pathsOf, ROLES } from "./words";

type Policy = Shown["AccessPolicyLine"];
type Draft = { who: string; effect: string; operations: string[]; place: string; paths: string; note: string };

const ALL_SERVERS = "server:*";
const DEVICES = ["devices:", "devices:sensor", "devices:camera"];

export function SentenceDialog({
  screen,
  policy,
  onClose,
}: {
  screen: Screen;
  policy: Policy | null;
  onClose: () => void;
}) {
  const [seen] = useState<Seen | null>(() => policy && { id: policy.id, version: policy.version });
  const [draft, setDraft] = useState<Draft>(() => draftOf(policy));
  const set = (more: Partial<Draft>) => setDraft((before) => ({ ...before, ...more }));
  const body = written(draft);
  const preview = useQuery(previewQuery(body, seen?.id));
  const write = useWriteSentence();
  useEffect(() => {
    if (write.isSuccess) onClose();
  }, [write.isSuccess, onClose]);
  const save = (event: FormEvent) => {
    event.preventDefault();
    write.mutate({ seen, body });
  };
  return (
    <Dialog title={policy ? "Edit policy" : "New policy"} onClose={onClose}>
      <form onSubmit={save} className={css.form} noValidate>
        <Whom screen={screen} policy={policy} draft={draft} set={set} />
        <SelectField
          label="May or may not"
          value={draft.effect}
          onChange={(event) => set({ effect: event.target.value })}
        >
          {!isOfDevices(draft.who) && <option value="allow">may</option>}
          <option value="deny">may not</option>
        </SelectField>
        {!isOfDevices(draft.who) && (
          <What who={draft.who} chosen={draft.operations} onChange={(operations) => set({ operations })} />
        )}
        <TextField
          label="On paths"
          value={draft.paths}
          hint={
            isOfServers(draft.who)
              ? "* is everything; /3/*, /3/0/* are parts of a device. A device grants no server less than an instance."
              : "* is everything, / the thing itself; /3/*, /3/0/9 are parts of a device. Separate several by a blank."
          }
          onChange={(event) => set({ paths: event.target.value })}
        />
        <SelectField label="Where" value={draft.place} onChange={(event) => set({ place: event.target.value })}>
          <option value="">everywhere</option>
          {policy?.place && !screen.places.some((place) => place.id === policy.place) && (
            <option value={policy.place}>{policy.place_name}</option>
          )}
          {screen.places.map((place) => (
            <option key={place.id} value={place.id}>
              {place.name}
            </option>
          ))}
        </SelectField>
        <TextField
          label="Why there is such a policy"
          value={draft.note}
          maxLength={300}
          onChange={(event) => set({ note: event.target.value })}
        />
        <div className={css.preview} role="status">
          {preview.data && (
            <>
              <b>{preview.data.says}</b>
              <span>
                {isOfServers(draft.who)
                  ? "Devices that have such a server are told so, when they listen."
                  : balance(preview.data.gain, preview.data.lose)}
              </span>
              {preview.data.warnings.map((warning) => (
                <span key={warning} className={css.warn}>
                  {warning}
                </span>
              ))}
            </>
          )}
          {preview.isError && <Wrong error={preview.error} not="This is no policy yet" />}
          {!preview.data && !preview.isError && <span className="muted">Say what, and this says what it means.</span>}
        </div>
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

function Whom({
  screen,
  policy,
  draft,
  set,
}: {
  screen: Screen;
  policy: Policy | null;
  draft: Draft;
  set: (more: Partial<Draft>) => void;
}) {
  const choose = (who: string) => {
    if (isOfDevices(who)) return set({ who, effect: "deny", operations: ["write"] });
    const known = operationsOf(who).map(([value]) => value);
    set({ who, operations: draft.operations.filter((operation) => known.includes(operation)) });
  };
  const isOneServer = isOfServers(draft.who) && draft.who !== ALL_SERVERS;
  const isListed =
    !policy ||
    ["everybody", "role", "devices", "server"].includes(policy.who_kind) ||
    [...screen.people, ...screen.tokens].some((one) => one.id === policy.who_id);
  return (
    <>
      <SelectField
        label="Who"
        value={isOneServer ? "server:" : draft.who}
        onChange={(event) => choose(event.target.value)}
      >
        <option value="everybody:">everybody</option>
        {!isListed && policy && <option value={whoOf(policy)}>{policy.who_name}</option>}
        <optgroup label="Roles">
          {ROLES.map((role) => (
            <option key={role} value={`role:${role}`}>
              {role}s
            </option>
          ))}
        </optgroup>
        <optgroup label="People">
          {screen.people.map((person) => (
            <option key={person.id} value={`user:${person.id}`}>
              {person.name}
            </option>
          ))}
        </optgroup>
        <optgroup label="Tokens">
          {screen.tokens
            .filter((token) => !token.is_revoked)
            .map((token) => (
              <option key={token.id} value={`token:${token.id}`}>
                {token.name}
              </option>
            ))}
        </optgroup>
        <optgroup label="Devices, what they may report">
          {DEVICES.map((who) => (
            <option key={who} value={who}>
              all {who.slice("devices:".length) || "device"}s
            </option>
          ))}
        </optgroup>
        <optgroup label="Other LwM2M servers of devices">
          <option value="server:">a server, by its short id</option>
          <option value={ALL_SERVERS}>all other servers</option>
        </optgroup>
      </SelectField>
      {isOneServer && (
        <TextField
          label="Short id of the server"
          value={draft.who.slice("server:".length)}
          inputMode="numeric"
          maxLength={5}
          hint="The number by which devices know it: resource 0 of its Server object."
          onChange={(event) => set({ who: `server:${event.target.value.trim()}` })}
        />
      )}
    </>
  );
}

function What({ who, chosen, onChange }: { who: string; chosen: string[]; onChange: (chosen: string[]) => void }) {
  return (
    <fieldset className={css.choices}>
      <legend>What</legend>
      {operationsOf(who).map(([value, text]) => (
        <label key={value}>
          <input
            type="checkbox"
            checked={chosen.includes(value)}
            onChange={({ target }) =>
              onChange(target.checked ? [...chosen, value] : chosen.filter((each) => each !== value))
            }
          />
          {text}
        </label>
      ))}
    </fieldset>
  );
}

function isOfDevices(who: string): boolean {
  return who.startsWith("device");
}

function whoOf(policy: Policy): string {
  return `${policy.who_kind}:${policy.who_id}`;
}

function draftOf(policy: Policy | null): Draft {
  if (!policy) return { who: "role:technician", effect: "allow", operations: [], place: "", paths: "*", note: "" };
  const { effect, operations, place, note } = policy;
  return { who: whoOf(policy), effect, operations, place, paths: policy.paths.join(" "), note };
}

function written({ who, paths, ...rest }: Draft) {
  const [kind = "", id = ""] = who.split(":");
  return { ...rest, who_kind: kind, who_id: id, paths: pathsOf(paths) };
}
