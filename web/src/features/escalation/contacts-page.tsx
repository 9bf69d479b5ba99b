/** Who can be told, by which ways, and do these work? */
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { useBlockedBy } from "../../api/actions";
import type { Shown } from "../../api/client";
import { useRemoveContact, useTestContact, useWriteContact } from "../../api/escalation";
import { escalationQuery } from "../../api/queries";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { Empty, Wrong } from "../../ui/notice";
import { plural } from "../../ui/words";
import { Area, type Screen } from "./area";
import css from "./escalation.module.css";
import { Remove } from "./remove";
import { refusal, way } from "./said";

type Contact = Shown["ContactShown"];
type Method = { channel: string; address: string };

/** A mail server or a webhook has five seconds to answer. */
const WATCHED_MS = 15_000;
const LOOK_MS = 1_000;

const SEVERITIES = ["critical", "high", "warning", "informational"];

export function ContactsPage() {
  const [isNew, setNew] = useState(false);
  const blockedBy = useBlockedBy("administer");
  return (
    <Area
      title="Contacts"
      actions={
        <Button look="primary" blockedBy={blockedBy} onClick={() => setNew(true)}>
          New contact
        </Button>
      }
    >
      {(screen) => (
        <>
          {screen.contacts.length === 0 && (
            <div className="card">
              <Empty title="Nobody is told of alerts: there are no contacts yet." />
            </div>
          )}
          {screen.contacts.length > 0 && (
            <ul className={`card ${css.rows}`}>
              {screen.contacts.map((contact) => (
                <Row key={contact.id} screen={screen} contact={contact} blockedBy={blockedBy} />
              ))}
            </ul>
          )}
          {isNew && <ContactDialog screen={screen} contact={null} onClose={() => setNew(false)} />}
        </>
      )}
    </Area>
  );
}

function Row({ screen, contact, blockedBy }: { screen: Screen; contact: Contact; blockedBy: string | null }) {
  const [isEdited, setEdited] = useState(false);
  const test = useTestContact();
  useWatchedWhile(test.isSuccess, test.submittedAt);
  const remove = useRemoveContact();
  return (
    <li className={css.row}>
      <div className={css.what}>
        <h2>{contact.name}</h2>
        <p className="small muted">
          {contact.policies.length > 0 ? `Told by ${contact.policies.join(", ")}. ` : ""}
          Where everybody is told: from {contact.min_severity} on
        </p>
      </div>
      <ol className={css.ways} aria-label={`Ways to ${contact.name}`}>
        {contact.methods.map((method) => (
          <li key={`${method.channel} ${method.address}`}>
            <b>{way(method.channel)}</b> {method.shown && <span>{method.shown}</span>} <Fate method={method} />
          </li>
        ))}
      </ol>
      <div className={css.acts}>
        <Button
          blockedBy={blockedBy}
          isBusy={test.isPending}
          aria-label={`Test ${contact.name}`}
          onClick={() => test.mutate(contact.id)}
        >
          Test
        </Button>
        <Button blockedBy={blockedBy} aria-label={`Edit ${contact.name}`} onClick={() => setEdited(true)}>
          Edit
        </Button>
        <Remove
          what={contact.name}
          says="They are told of nothing any more."
          look="quiet"
          blockedBy={blockedBy}
          removal={remove}
          onRemove={(done) => remove.mutate(contact, { onSuccess: done })}
        />
      </div>
      {test.isError && <Wrong>{refusal(test.error, "Not sent")}</Wrong>}
      {test.isSuccess && (
        <p className="small muted" role="status">
          {plural(contact.methods.length, "test")} sent. What arrived is shown beside each way.
        </p>
      )}
      {isEdited && <ContactDialog screen={screen} contact={contact} onClose={() => setEdited(false)} />}
    </li>
  );
}

/** After a test the page looks again and again: what became of it is known within seconds, or not soon. */
function useWatchedWhile(isSent: boolean, sentAt: number) {
  const [isOver, setOver] = useState(true);
  useEffect(() => {
    if (!isSent || sentAt === 0) return;
    setOver(false);
    const timer = setTimeout(() => setOver(true), WATCHED_MS);
    return () => clearTimeout(timer);
  }, [isSent, sentAt]);
  useQuery({ ...escalationQuery, refetchInterval: isOver ? false : LOOK_MS });
}

/** What became of the last message that went this way. */
function Fate({ method }: { method: Contact["methods"][number] }) {
  if (method.failed_at) {
    return (
      <span className={css.failed}>
        failed <Age at={method.failed_at} />
        {method.failure && `: ${method.failure}`}
      </span>
    );
  }
  if (method.delivered_at) {
    return (
      <span className="muted">
        last sent <Age at={method.delivered_at} />
      </span>
    );
  }
  return <span className="muted">never used</span>;
}

function ContactDialog({ screen, contact, onClose }: { screen: Screen; contact: Contact | null; onClose: () => void }) {
  const [seen] = useState(() => contact && { id: contact.id, version: contact.version });
  const [name, setName] = useState(contact?.name ?? "");
  const [severity, setSeverity] = useState(contact?.min_severity ?? "warning");
  const [methods, setMethods] = useState<Method[]>(contact?.methods ?? [{ channel: "email", address: "" }]);
  const write = useWriteContact();
  useEffect(() => {
    if (write.isSuccess) onClose();
  }, [write.isSuccess, onClose]);
  const save = (event: FormEvent) => {
    event.preventDefault();
    const ways = methods.map(({ channel, address }) => ({ channel, address }));
    write.mutate({ seen, body: { name, min_severity: severity, methods: ways } });
  };
  return (
    <Dialog title={contact ? `Edit ${contact.name}` : "New contact"} onClose={onClose}>
      <form onSubmit={save} className={css.form} noValidate>
        <TextField
          label="Name"
          value={name}
          maxLength={100}
          autoComplete="off"
          onChange={(event) => setName(event.target.value)}
        />
        <Methods screen={screen} methods={methods} onChange={setMethods} />
        <SelectField
          label="Where everybody is told, from which severity on"
          value={severity}
          onChange={(event) => setSeverity(event.target.value)}
        >
          {SEVERITIES.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </SelectField>
        {write.isError && <Wrong>{refusal(write.error)}</Wrong>}
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

/** The ways to somebody in their order: the next is used when one fails. */
function Methods({
  screen,
  methods,
  onChange,
}: {
  screen: Screen;
  methods: Method[];
  onChange: (methods: Method[]) => void;
}) {
  const hooks = screen.channels.filter((channel) => channel.kind === "webhook");
  const set = (index: number, more: Partial<Method>) =>
    onChange(methods.map((method, at) => (at === index ? { ...method, ...more } : method)));
  const firstAddress = (channel: string) => (channel === "webhook" ? (hooks[0]?.id ?? "") : "");
  return (
    <fieldset className={css.methods}>
      <legend>Ways, the first that works is used</legend>
      {methods.map((method, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a way is its place in the order
        <div key={index} className={css.method}>
          <SelectField
            label={`Way ${index + 1}`}
            value={method.channel}
            onChange={({ target }) => set(index, { channel: target.value, address: firstAddress(target.value) })}
          >
            <option value="email">mail</option>
            {hooks.length > 0 && <option value="webhook">webhook</option>}
            <option value="dashboard">dashboard</option>
          </SelectField>
          {method.channel === "email" && (
            <TextField
              label="Mail address"
              type="email"
              value={method.address}
              autoComplete="off"
              onChange={(event) => set(index, { address: event.target.value })}
            />
          )}
          {method.channel === "webhook" && (
            <SelectField
              label="Webhook"
              value={method.address}
              onChange={(event) => set(index, { address: event.target.value })}
            >
              {hooks.map((hook) => (
                <option key={hook.id} value={hook.id}>
                  {hook.name}
                </option>
              ))}
            </SelectField>
          )}
          {methods.length > 1 && (
            <Button
              look="quiet"
              aria-label={`Remove way ${index + 1}`}
              onClick={() => onChange(methods.filter((_, at) => at !== index))}
            >
              Remove
            </Button>
          )}
        </div>
      ))}
      <div>
        <Button onClick={() => onChange([...methods, { channel: "email", address: "" }])}>Add a way</Button>
      </div>
    </fieldset>
  );
}
