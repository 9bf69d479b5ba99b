/** One resource: what was last known and how old it is, and read, write, execute with what came of it. */
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { type Asked, useAskDevice, useBlockedBy, useCancelCommand } from "../../api/actions";
import { Problem, type Shown, why } from "../../api/client";
import { commandQuery } from "../../api/queries";
import { Age, Ahead } from "../../ui/age";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { unitWord } from "../../ui/words";
import css from "./objects.module.css";
import { check, editable, valueText } from "./value";

type Resource = Shown["ResourceShown"];
type Props = { resource: Resource; device: string; name: string };

/** OMA LwM2M Core 1.1, appendix E.4: what some executables of object 3 do, for those who must decide. */
const DOES: Record<string, string> = {
  "/3/0/4": "It restarts and registers again; readings are missing for a minute or so.",
  "/3/0/5": "It forgets its settings, its keys and this server. Somebody may have to go there to set it up again.",
  "/5/0/2": "It installs the package it holds and restarts.",
};
/** Nothing brings these back from afar. */
const ASKS_FOR_NAME = new Set(["/3/0/5"]);

export function ResourceRow({ resource, device, name }: Props) {
  const ask = useAskDevice(device);
  const blockedBy = useBlockedBy();
  const [isOpen, setOpen] = useState<"write" | "execute" | null>(null);
  const send = (asked: Asked) => {
    setOpen(null);
    ask.mutate(asked);
  };
  const { path } = resource;
  const text = valueText(resource.value, resource.type, resource.units);
  const pending = ask.isPending && ask.variables.operation === "write" ? ask.variables : null;
  return (
    <li className={css.resource}>
      <code className={css.path}>{path}</code>
      <span className={css.name}>
        {resource.name}
        {resource.is_observed && <span className={css.observed}>observed</span>}
      </span>
      <span className={css.value} data-quantity={text ? resource.name : undefined}>
        {text || (resource.is_readable ? <span className="muted">not read yet</span> : "")}
      </span>
      <span className={css.age}>{resource.at && text && <Age at={resource.at} />}</span>
      <span className={css.acts}>
        {resource.is_readable && (
          <Button
            look="mini"
            blockedBy={blockedBy}
            isBusy={ask.isPending}
            onClick={() => send({ operation: "read", path })}
          >
            Read<span className="sr"> {resource.name}</span>
          </Button>
        )}
        {resource.is_writable && (
          <Button look="mini" blockedBy={blockedBy} isBusy={ask.isPending} onClick={() => setOpen("write")}>
            Write<span className="sr"> {resource.name}</span>
          </Button>
        )}
        {resource.is_executable && (
          <Button look="mini" blockedBy={blockedBy} isBusy={ask.isPending} onClick={() => setOpen("execute")}>
            Execute<span className="sr"> {resource.name}</span>
          </Button>
        )}
      </span>
      <div className={css.outcome} role="status">
        {pending && <p className="muted">Writing {String(pending.value)}, then reading it back</p>}
        {ask.isPending && !pending && <p className="muted">Asking {name}</p>}
        {ask.isError && <Refused error={ask.error} asked={ask.variables} name={name} />}
        {ask.isSuccess && !ask.isPending && (
          <Outcome
            outcome={ask.data}
            asked={ask.variables}
            resource={resource}
            device={device}
            name={name}
            onGone={ask.reset}
          />
        )}
      </div>
      {isOpen === "write" && <Write resource={resource} name={name} onSend={send} onClose={() => setOpen(null)} />}
      {isOpen === "execute" && <Execute resource={resource} name={name} onSend={send} onClose={() => setOpen(null)} />}
    </li>
  );
}

function Refused({ error, asked, name }: { error: unknown; asked: Asked; name: string }) {
  if (error instanceof Problem && error.type.endsWith("device-refused")) {
    return (
      <p className={css.wrong}>
        {name} refused to {asked.operation}: {[error.code, error.detail].filter(Boolean).join(" ")}. Nothing changed.
      </p>
    );
  }
  return (
    <p className={css.wrong}>
      Could not {asked.operation} {why(error)}
    </p>
  );
}

function Outcome({
  outcome,
  asked,
  resource,
  device,
  name,
  onGone,
}: {
  outcome: Shown["Outcome"];
  asked: Asked;
  resource: Resource;
  device: string;
  name: string;
  onGone: () => void;
}) {
  if (outcome.state === "waiting" && outcome.command) {
    return <WaitingFor command={outcome.command} device={device} name={name} onGone={onGone} />;
  }
  const at = outcome.at ?? null;
  const from = outcome.source === "last-known" ? "last known" : `from ${name}`;
  switch (asked.operation) {
    case "read":
      return (
        <p className={css.done}>
          {valueText(outcome.value, resource.type, resource.units) || "no value"}, {from}
          {at && (
            <>
              , <Age at={at} />
            </>
          )}
        </p>
      );
    case "write":
      return <p className={css.done}>{name} took it.</p>;
    case "execute":
      return <p className={css.done}>{name} does it.</p>;
  }
}

function WaitingFor({
  command,
  device,
  name,
  onGone,
}: {
  command: Shown["CommandShown"];
  device: string;
  name: string;
  onGone: () => void;
}) {
  const cancel = useCancelCommand(device);
  const { data } = useQuery({ ...commandQuery(command.id), initialData: command });
  switch (data.state) {
    case "answered":
      return <p className={css.done}>{name} woke and answered.</p>;
    case "refused":
      return (
        <p className={css.wrong}>
          {name} refused: {[data.code, data.detail].filter(Boolean).join(" ")}. Nothing changed.
        </p>
      );
    case "expired":
      return <p className={css.wrong}>Expired: {name} did not wake in time. Nothing changed.</p>;
    case "cancelled":
      return <p className="muted">Cancelled. Nothing was sent.</p>;
    default:
      return (
        <p className={css.waiting}>
          <span>
            Queued, waiting for wake-up.{" "}
            {data.expected_at && (
              <>
                {name} wakes <Ahead at={data.expected_at} />.{" "}
              </>
            )}
            {data.expires_at && (
              <>
                Expires <Ahead at={data.expires_at} />.
              </>
            )}
            {cancel.isError && ` Not cancelled ${why(cancel.error)}`}
          </span>
          <Button
            look="mini"
            isBusy={cancel.isPending}
            onClick={() => cancel.mutate(command.id, { onSuccess: onGone })}
          >
            Cancel
          </Button>
        </p>
      );
  }
}

type Editing = { resource: Resource; name: string; onSend: (asked: Asked) => void; onClose: () => void };

function Write({ resource, name, onSend, onClose }: Editing) {
  const { path, type, range, units } = resource;
  const [text, setText] = useState(() => editable(resource.value, type));
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const checked = check(text, type, range);
    if ("wrong" in checked) setWrong(checked.wrong);
    else onSend({ operation: "write", path, value: checked.value });
  };
  const hint = [type || "text", units && `in ${unitWord(units)}`, range && `range ${range}`].filter(Boolean).join(", ");
  const shared = { label: resource.name, hint, wrong, value: text, autoFocus: true };
  return (
    <Dialog title={`Write ${resource.name}`} onClose={onClose}>
      <form onSubmit={submit} className={css.form} noValidate>
        <p className="small muted">
          {name}, <code>{path}</code>
        </p>
        {type === "boolean" ? (
          <SelectField {...shared} value={text || "false"} onChange={(event) => setText(event.target.value)}>
            <option value="true">yes</option>
            <option value="false">no</option>
          </SelectField>
        ) : (
          <TextField
            {...shared}
            type={type === "time" ? "datetime-local" : "text"}
            inputMode={["integer", "unsigned", "float"].includes(type) ? "decimal" : undefined}
            autoComplete="off"
            onChange={(event) => {
              setText(event.target.value);
              setWrong(null);
            }}
          />
        )}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit">
            Write to {name}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

function Execute({ resource, name, onSend, onClose }: Editing) {
  const [typed, setTyped] = useState("");
  const asksForName = ASKS_FOR_NAME.has(resource.path);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!asksForName || typed.trim() === name) onSend({ operation: "execute", path: resource.path });
  };
  return (
    <Dialog title={`${resource.name}: ${name}`} onClose={onClose}>
      <form onSubmit={submit} className={css.form}>
        <p>{DOES[resource.path] ?? `${name} executes ${resource.path} as soon as it is awake.`}</p>
        {asksForName && (
          <TextField
            label={`Type ${name} to confirm`}
            value={typed}
            autoComplete="off"
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button
            look={asksForName ? "danger" : "primary"}
            type="submit"
            blockedBy={asksForName && typed.trim() !== name ? "Type the device's name first." : null}
          >
            Execute {resource.name}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
