/** Writing a resource: one value, or those of its instances. Checked here, before a sleeping device could refuse it. */
import { type FormEvent, type ReactNode, useState } from "react";
import { type Asked, useAskDevice } from "../../api/actions";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField } from "../../ui/field";
import css from "./objects.module.css";
import { Said } from "./reporting";
import { type Resource, useTree } from "./tree";
import { check, editable, type Sent, TYPES, typeWord } from "./value";
import { ValueField } from "./value-field";

type Props = { resource: Resource; onSend: (asked: Asked) => void; onClose: () => void };

/** OMA LwM2M Core 1.1 §7.2: 65535 is reserved. */
const ID_MAX = 65_534;

export function WriteDialog(props: Props) {
  const { resource } = props;
  const { objects } = useTree();
  // Of a cut value the form knows nothing until the device told the whole.
  const [whole, setWhole] = useState<{ value: Resource["value"] } | null>(null);
  if (resource.is_cut && !whole) {
    return <ReadFirst resource={resource} onClose={props.onClose} onWhole={(value) => setWhole({ value })} />;
  }
  const known = { ...props, resource: { ...resource, ...whole } };
  const isDefined = objects.some((each) => each.is_known && resource.path.startsWith(`${each.path}/`));
  return isDefined ? <Write {...known} /> : <WriteUndefined {...known} />;
}

type WriteProps = Props & { head?: ReactNode };

function Write(props: WriteProps) {
  return props.resource.is_multiple ? <WriteSeveral {...props} /> : <WriteOne {...props} />;
}

/** Of what nobody defined, whoever writes it says of which type it is. */
function WriteUndefined({ resource, onSend, onClose }: Props) {
  const [type, setType] = useState(resource.type || "string");
  const select = (
    <SelectField
      label="Type"
      hint="Nothing defines it: the device knows what it takes"
      value={type}
      onChange={(event) => setType(event.target.value)}
    >
      {TYPES.map((each) => (
        <option key={each} value={each}>
          {typeWord(each)}
        </option>
      ))}
    </SelectField>
  );
  // What was told of another type is no beginning for this one.
  const known = type === resource.type ? resource : { ...resource, type, value: null };
  return (
    <Write
      key={type}
      resource={known}
      head={select}
      onSend={(asked) => onSend(withType(asked, type))}
      onClose={onClose}
    />
  );
}

/** The same, with each value saying its type. */
export function withType(asked: Asked, type: string): Asked {
  if (asked.operation !== "write") return asked;
  const name = type === "unsigned" ? "unsigned integer" : type;
  if ("value" in asked) return { ...asked, value: { [name]: asked.value } };
  const values = Object.entries(asked.values).map(([id, value]) => [id, { [name]: value }]);
  return { ...asked, values: Object.fromEntries(values) };
}

type ReadFirstProps = { resource: Resource; onClose: () => void; onWhole: (value: Resource["value"]) => void };

/** The beginning of a value, written back, would be the end of the rest. */
function ReadFirst({ resource, onClose, onWhole }: ReadFirstProps) {
  const { device, name } = useTree();
  const ask = useAskDevice(device);
  const read = () =>
    ask.mutate(
      { operation: "read", path: resource.path },
      { onSuccess: (outcome) => outcome.state === "done" && onWhole(outcome.value) },
    );
  return (
    <Dialog title={`Write ${resource.name}`} onClose={onClose}>
      <div className={css.form}>
        <About path={resource.path} />
        <p>Only the beginning of what {name} holds there is kept here (cut). Read the whole to change a part of it.</p>
        <Said ask={ask} />
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          {!resource.is_multiple && <Button onClick={() => onWhole(null)}>Begin with nothing</Button>}
          <Button look="primary" isBusy={ask.isPending} onClick={read}>
            Read it from {name}
          </Button>
        </DialogActions>
      </div>
    </Dialog>
  );
}

function About({ path }: { path: string }) {
  const { name } = useTree();
  return (
    <p className="small muted">
      {name}, <code>{path}</code>
    </p>
  );
}

type FormProps = {
  resource: Resource;
  head: ReactNode;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
};

/** What both ways to write have around their fields. */
function WriteForm({ resource, head, onSubmit, onClose, children }: FormProps) {
  const { name } = useTree();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <Dialog title={`Write ${resource.name}`} onClose={onClose}>
      <form onSubmit={submit} className={css.form} noValidate>
        <About path={resource.path} />
        {head}
        {children}
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

function WriteOne({ resource, head, onSend, onClose }: WriteProps) {
  const [text, setText] = useState(() => editable(resource.value, resource.type));
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = () => {
    const checked = check(text, resource);
    if ("wrong" in checked) setWrong(checked.wrong);
    else onSend({ operation: "write", path: resource.path, value: checked.value });
  };
  return (
    <WriteForm resource={resource} head={head} onSubmit={submit} onClose={onClose}>
      <ValueField
        label={resource.name}
        shape={resource}
        text={text}
        wrong={wrong}
        autoFocus
        onText={(typed) => {
          setText(typed);
          setWrong(null);
        }}
      />
    </WriteForm>
  );
}

type Line = { id: string; text: string; wrong: string | null };

function WriteSeveral({ resource, head, onSend, onClose }: WriteProps) {
  const before = valuesOf(resource);
  const [lines, setLines] = useState<Line[]>(() =>
    Object.entries(before).map(([id, value]) => ({ id, text: editable(value, resource.type), wrong: null })),
  );
  const removed = Object.keys(before).filter((id) => !lines.some((line) => line.id === id));
  const change = (id: string, text: string) =>
    setLines(lines.map((line) => (line.id === id ? { id, text, wrong: null } : line)));
  const submit = () => {
    const checked = lines.map((line) => ({ line, result: check(line.text, resource) }));
    if (checked.some(({ result }) => "wrong" in result)) {
      setLines(checked.map(({ line, result }) => ({ ...line, wrong: "wrong" in result ? result.wrong : null })));
      return;
    }
    const values: Record<string, Sent> = {};
    for (const { line, result } of checked) if ("value" in result) values[line.id] = result.value;
    // Without a removal, only what is another now is written, and what the device has beside it stays.
    const changed = Object.entries(values).filter(([id, value]) => !(id in before) || before[id] !== value);
    if (removed.length > 0) onSend({ operation: "write", path: resource.path, values, partial: false });
    else if (changed.length === 0) onClose();
    else onSend({ operation: "write", path: resource.path, values: Object.fromEntries(changed), partial: true });
  };
  return (
    <WriteForm resource={resource} head={head} onSubmit={submit} onClose={onClose}>
      {lines.map((line) => (
        <div key={line.id} className={css.line}>
          <ValueField
            label={`${resource.name} ${line.id}`}
            shape={resource}
            text={line.text}
            wrong={line.wrong}
            onText={(text) => change(line.id, text)}
          />
          <Button onClick={() => setLines(lines.filter((each) => each.id !== line.id))}>
            Remove<span className="sr"> {line.id}</span>
          </Button>
        </div>
      ))}
      {lines.length === 0 && <p className="muted">It has no value, as far as we know.</p>}
      <Add ids={lines.map((line) => line.id)} onAdd={(id) => setLines([...lines, { id, text: "", wrong: null }])} />
      {removed.length > 0 && (
        <p className="small muted" role="status">
          All instances are written anew, without {removed.join(", ")}. One that we never read is lost, too.
        </p>
      )}
    </WriteForm>
  );
}

function valuesOf(resource: Resource): Record<string, unknown> {
  const { value } = resource;
  if (value === null || value === undefined) return {};
  return typeof value === "object" && !Array.isArray(value) ? { ...value } : { "0": value };
}

function Add({ ids, onAdd }: { ids: string[]; onAdd: (id: string) => void }) {
  const next = String(ids.length === 0 ? 0 : Math.min(ID_MAX, Math.max(...ids.map(Number)) + 1));
  return (
    <div>
      <Button blockedBy={ids.includes(next) ? "There is no number left." : null} onClick={() => onAdd(next)}>
        Add one
      </Button>
    </div>
  );
}
