/** What came of something that was asked of a device: done, refused, or waiting for it to wake. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { type Asked, keepFound, useCancelCommand } from "../../api/actions";
import { Problem, type Shown, why } from "../../api/client";
import { commandQuery } from "../../api/queries";
import { Age, Ahead } from "../../ui/age";
import { Button } from "../../ui/button";
import { plural, quantity } from "../../ui/words";
import css from "./objects.module.css";
import { SaveBytes } from "./save-bytes";
import { useTree } from "./tree";
import { type Shape, valueText } from "./value";

const PLAIN: Shape = { type: "", range: "", units: "" };

/** RFC 7252 §5.9: what each code means here, and what to do. */
const ADVICE: Record<string, string> = {
  "4.00": "It did not understand the request: compare the value with type and range.",
  "4.01": "This server has no right to that on the device: see its access control.",
  "4.03": "The device keeps that to itself.",
  "4.04": "It has no such path: discover the object to see what it has.",
  "4.05": "It does not offer that here.",
  "4.06": "It cannot answer in a format that we read.",
  "4.08": "It lost a part of the request: try again.",
  "4.12": "Something changed on the device meanwhile: read it, then try again.",
  "4.13": "That is larger than it can take.",
  "4.15": "It cannot read the format in which we sent it.",
  "5.00": "It failed inside: read its error codes, and try again later.",
  "5.01": "It has not learned that.",
  "5.03": "It is busy: try again in a minute.",
};

type Told = { asked: Asked; shape?: Shape };

export function Refused({ error, asked }: { error: unknown; asked: Asked }) {
  const { name } = useTree();
  const verb = VERBS[asked.operation];
  if (error instanceof Problem && error.type.endsWith("device-refused")) {
    return <Refusal says={`${name} refused to ${verb}`} code={error.code} detail={error.detail} />;
  }
  return (
    <p className={css.wrong}>
      Could not {verb} {why(error)}
    </p>
  );
}

function Refusal({ says, code, detail }: { says: string; code: string; detail: string }) {
  return (
    <p className={css.wrong}>
      {says}: {[code, detail].filter(Boolean).join(" ")}. Nothing changed.
      {ADVICE[code] && <span className="muted"> {ADVICE[code]}</span>}
    </p>
  );
}

const VERBS: Record<Asked["operation"], string> = {
  read: "read",
  write: "write",
  execute: "execute",
  create: "create",
  delete: "delete",
  discover: "discover",
  attributes: "set when it reports",
};

export function Outcome({
  outcome,
  asked,
  shape = PLAIN,
  onGone,
}: Told & { outcome: Shown["Outcome"]; onGone: () => void }) {
  const { name } = useTree();
  if (outcome.state === "waiting" && outcome.command) {
    return <WaitingFor command={outcome.command} asked={asked} shape={shape} onGone={onGone} />;
  }
  const told = toldShape(shape, outcome.type);
  return (
    <p className={css.done}>
      {doneText(asked, outcome.value, outcome.path, told, name)}
      {asked.operation === "read" && `, ${outcome.source === "last-known" ? "last known" : `from ${name}`}`}
      {outcome.at && (
        <>
          , <Age at={outcome.at} />
        </>
      )}
      {typeof outcome.trip_ms === "number" && `, after ${quantity(Math.round(outcome.trip_ms), "ms")}`}
      <SaveRead asked={asked} value={outcome.value} shape={told} />
    </p>
  );
}

/** What was read is of the type that it came with, whatever was thought of the resource before. */
function toldShape(shape: Shape, type: string): Shape {
  return type ? { ...shape, type } : shape;
}

/** What a device answered is whole, however much of it is kept. */
function SaveRead({ asked, value, shape }: { asked: Asked; value: unknown; shape: Shape }) {
  return asked.operation === "read" && shape.type === "opaque" ? (
    <SaveBytes value={value} path={asked.path} name={`what was read of ${asked.path}`} />
  ) : null;
}

function doneText(asked: Asked, value: unknown, path: string, shape: Shape, name: string): string {
  switch (asked.operation) {
    case "read": {
      const isWhole = asked.path.split("/").length < 4;
      return isWhole ? plural(leaves(value), "value") : valueText(value, shape) || "no value";
    }
    case "write":
      return `${name} took it`;
    case "execute":
      return `${name} does it`;
    case "create":
      return `${name} made ${path}`;
    case "delete":
      return `${name} deleted ${asked.path}`;
    case "discover":
      return `${name} has ${plural(Object.keys(value ?? {}).length, "path")} there`;
    case "attributes":
      return `${name} took it`;
  }
}

function leaves(value: unknown): number {
  if (typeof value !== "object" || value === null) return value === null || value === undefined ? 0 : 1;
  return Object.values(value).reduce((sum: number, each) => sum + leaves(each), 0);
}

function WaitingFor({
  command,
  asked,
  shape,
  onGone,
}: {
  command: Shown["CommandShown"];
  asked: Asked;
  shape: Shape;
  onGone: () => void;
}) {
  const { device, name } = useTree();
  const cancel = useCancelCommand(device);
  const queries = useQueryClient();
  const { data } = useQuery({ ...commandQuery(command.id), initialData: command });
  const told = toldShape(shape, data.type);
  const found = data.state === "answered" && asked.operation === "discover" ? data.value : null;
  useEffect(() => {
    if (found) keepFound(queries, device, found);
  }, [found, queries, device]);
  switch (data.state) {
    case "answered":
      return (
        <p className={css.done}>
          {name} woke: {doneText(asked, data.value, asked.path, told, name)}.
          <SaveRead asked={asked} value={data.value} shape={told} />
        </p>
      );
    case "refused":
      return <Refusal says={`${name} refused`} code={data.code} detail={data.detail} />;
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
