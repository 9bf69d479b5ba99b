/** One resource: what it is, what was last known and how old that is, what can be asked, and what came of it. */
import { memo, useState } from "react";
import { type Asked, useAskDevice } from "../../api/actions";
import type { Found } from "../../api/queries";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { unitWord } from "../../ui/words";
import { ExecuteDialog } from "./execute-dialog";
import css from "./objects.module.css";
import { Outcome, Refused } from "./outcome";
import { pendingText, ReportingDialog, ReportingNote } from "./reporting";
import { SaveBytes } from "./save-bytes";
import { isMissing, type Observation, type Resource, useTree } from "./tree";
import { beginText, cutText, typeWord, valueText } from "./value";
import { WriteDialog } from "./write-dialog";

type Props = { resource: Resource; observation: Observation | undefined };

export const ResourceRow = memo(function ResourceRow({ resource, observation }: Props) {
  const { device, name, canAct } = useTree();
  const ask = useAskDevice(device);
  const [isOpen, setOpen] = useState<"write" | "execute" | "report" | null>(null);
  const send = (asked: Asked) => {
    setOpen(null);
    ask.mutate(asked);
  };
  const close = () => setOpen(null);
  const { path } = resource;
  return (
    <li className={css.resource}>
      <code className={css.path}>{path}</code>
      <div className={css.name}>
        {resource.name}
        <span className={css.about}>{aboutText(resource)}</span>
        {observation && <ReportingNote observation={observation} units={resource.units} />}
        {!observation && resource.is_observed && <span className={css.observed}>reports with its instance</span>}
      </div>
      <Value resource={resource} isBusy={ask.isPending} onRead={() => send({ operation: "read", path })} />
      <span className={css.age}>
        {resource.at && resource.value !== null && <Age at={resource.at} />}
        {resource.has_own_clock && resource.value !== null && (
          <span className={css.clock} title="The moment is by the device's own clock">
            by its clock
          </span>
        )}
      </span>
      {canAct && (
        <Acts
          resource={resource}
          isBusy={ask.isPending}
          onRead={() => send({ operation: "read", path })}
          onOpen={setOpen}
        />
      )}
      <div className={css.outcome} role="status">
        {ask.isPending && <p className="muted">{pendingText(ask.variables, name)}</p>}
        {ask.isError && <Refused error={ask.error} asked={ask.variables} />}
        {ask.isSuccess && <Outcome outcome={ask.data} asked={ask.variables} shape={resource} onGone={ask.reset} />}
      </div>
      {isOpen === "write" && <WriteDialog resource={resource} onSend={send} onClose={close} />}
      {isOpen === "execute" && <ExecuteDialog resource={resource} onSend={send} onClose={close} />}
      {isOpen === "report" && <ReportingDialog about={resource} observation={observation} onClose={close} />}
    </li>
  );
});

/** Type, unit, range and what is special, in one line. */
function aboutText(resource: Resource): string {
  const { type, units, range } = resource;
  const parts = [
    resource.is_executable && !type ? "to execute" : typeWord(type),
    units && `in ${unitWord(units)}`,
    range,
    resource.is_multiple && "several",
    resource.is_mandatory && "mandatory",
    resource.is_writable && !resource.is_readable && "write only",
  ];
  return parts.filter(Boolean).join(", ");
}

function Acts({
  resource,
  isBusy,
  onRead,
  onOpen,
}: {
  resource: Resource;
  isBusy: boolean;
  onRead: () => void;
  onOpen: (dialog: "write" | "execute" | "report") => void;
}) {
  const what = <span className="sr"> {resource.name}</span>;
  return (
    <span className={css.acts}>
      {resource.is_readable && (
        <Button look="mini" isBusy={isBusy} onClick={onRead}>
          Read{what}
        </Button>
      )}
      {resource.is_writable && (
        <Button look="mini" isBusy={isBusy} onClick={() => onOpen("write")}>
          Write{what}
        </Button>
      )}
      {resource.is_executable && (
        <Button look="mini" isBusy={isBusy} onClick={() => onOpen("execute")}>
          Execute{what}
        </Button>
      )}
      {resource.is_readable && (
        <Button look="mini" onClick={() => onOpen("report")}>
          Reporting{what}
        </Button>
      )}
    </span>
  );
}

type ValueProps = { resource: Resource; isBusy: boolean; onRead: () => void };

function Value({ resource, isBusy, onRead }: ValueProps) {
  const { found, canAct } = useTree();
  const { value, is_cut } = resource;
  const whole = is_cut && canAct && (
    <Button look="mini" isBusy={isBusy} onClick={onRead}>
      Read the whole<span className="sr"> of {resource.name}</span>
    </Button>
  );
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
  if (isMap) {
    return (
      <ul className={css.value} aria-label={`Instances of ${resource.name}`} data-quantity={resource.name}>
        {Object.entries(value).map(([id, each]) => (
          <li key={id}>
            <span className="muted">{id}:</span> {is_cut ? beginText(each, resource) : valueText(each, resource)}
          </li>
        ))}
        {is_cut && <li className="muted">only the beginning of what is long (cut) {whole}</li>}
      </ul>
    );
  }
  const text = is_cut ? cutText(value, resource) : valueText(value, resource);
  return (
    <span className={css.value} data-quantity={text ? resource.name : undefined}>
      {text || <span className="muted">{nothingText(resource, found)}</span>}
      {whole && <> {whole}</>}
      {resource.type === "opaque" && !is_cut && <SaveBytes value={value} path={resource.path} name={resource.name} />}
    </span>
  );
}

/** Why there is no value. */
function nothingText({ path, is_readable }: Resource, found: Found): string {
  if (isMissing(found, path)) return "not on this device";
  return is_readable ? "not read yet" : "";
}
