/** What carries messages to people, and does it work? Webhooks are set up here. */
import { type FormEvent, useEffect, useState } from "react";
import { useBlockedBy } from "../../api/actions";
import type { Shown } from "../../api/client";
import { useRemoveChannel, useRotateChannel, useTestChannel, useWriteChannel } from "../../api/escalation";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Wrong } from "../../ui/notice";
import { Area } from "./area";
import css from "./escalation.module.css";
import { Remove } from "./remove";
import { refusal } from "./said";

type Channel = Shown["ChannelShown"];

export function ChannelsPage() {
  const [isNew, setNew] = useState(false);
  const blockedBy = useBlockedBy("administer");
  return (
    <Area
      title="Channels"
      actions={
        <Button look="primary" blockedBy={blockedBy} onClick={() => setNew(true)}>
          New webhook
        </Button>
      }
    >
      {(screen) => (
        <>
          <ul className={`card ${css.rows}`}>
            {screen.channels.map((channel) => (
              <Row key={channel.id} channel={channel} blockedBy={blockedBy} />
            ))}
          </ul>
          {isNew && <ChannelDialog channel={null} onClose={() => setNew(false)} />}
        </>
      )}
    </Area>
  );
}

function Row({ channel, blockedBy }: { channel: Channel; blockedBy: string | null }) {
  const [asked, setAsked] = useState<"edit" | "rotate" | "mail" | null>(null);
  const test = useTestChannel();
  const remove = useRemoveChannel();
  const isHook = channel.kind === "webhook";
  const close = () => setAsked(null);
  return (
    <li className={css.row}>
      <div className={css.what}>
        <h2>{channel.name}</h2>
        <p className="small muted">{isHook ? <code className={css.url}>{channel.url}</code> : channel.says}</p>
        {channel.contacts.length > 0 && <p className="small muted">Reaches {channel.contacts.join(", ")}</p>}
      </div>
      <p className={css.fate}>
        <Fate channel={channel} />
      </p>
      <div className={css.acts}>
        {channel.kind !== "dashboard" && (
          <Button
            blockedBy={blockedBy}
            isBusy={test.isPending}
            aria-label={`Test ${channel.name}`}
            onClick={() => (isHook ? test.mutate({ channel: channel.id }) : setAsked("mail"))}
          >
            Test
          </Button>
        )}
        {isHook && (
          <>
            <Button blockedBy={blockedBy} aria-label={`Edit ${channel.name}`} onClick={() => setAsked("edit")}>
              Edit
            </Button>
            <Button
              blockedBy={blockedBy}
              aria-label={`New secret for ${channel.name}`}
              onClick={() => setAsked("rotate")}
            >
              New secret
            </Button>
            <Remove
              what={channel.name}
              says="Nothing goes there any more."
              look="quiet"
              blockedBy={blockedBy}
              removal={remove}
              onRemove={(done) => remove.mutate(channel, { onSuccess: done })}
            />
          </>
        )}
      </div>
      {test.isError && <Wrong>{refusal(test.error, "Not sent")}</Wrong>}
      {asked === "edit" && <ChannelDialog channel={channel} onClose={close} />}
      {asked === "rotate" && <RotateDialog channel={channel} onClose={close} />}
      {asked === "mail" && <MailTestDialog onClose={close} />}
    </li>
  );
}

/** What became of the newest message that went there. */
function Fate({ channel }: { channel: Channel }) {
  const { latest } = channel;
  if (!channel.is_ready) return <span className={css.failed}>not ready</span>;
  if (!latest) return <span className="muted">{channel.kind === "webhook" ? "never used" : "ready"}</span>;
  const what = latest.about === "test" ? "Test" : "Last message";
  if (latest.is_under_way) {
    return (
      <span role="status">
        {what} under way{latest.detail && `: ${latest.detail}`}
      </span>
    );
  }
  return (
    <span role="status" className={latest.state === "accepted" ? "" : css.failed}>
      {what} {latest.state === "accepted" ? "arrived" : "failed"} {latest.at && <Age at={latest.at} />}
      {latest.detail && `: ${latest.detail}`}
    </span>
  );
}

function ChannelDialog({ channel, onClose }: { channel: Channel | null; onClose: () => void }) {
  const [seen] = useState(() => channel && { id: channel.id, version: channel.version });
  const [name, setName] = useState(channel?.name ?? "");
  const [url, setUrl] = useState(channel?.url ?? "");
  const write = useWriteChannel();
  const secret = write.data?.secret ?? "";
  useEffect(() => {
    if (write.isSuccess && secret === "") onClose();
  }, [write.isSuccess, secret, onClose]);
  const save = (event: FormEvent) => {
    event.preventDefault();
    write.mutate({ seen, body: { name, url } });
  };
  if (secret) return <SecretDialog secret={secret} name={name} onClose={onClose} />;
  return (
    <Dialog title={channel ? `Edit ${channel.name}` : "New webhook"} onClose={onClose}>
      <form onSubmit={save} className={css.form} noValidate>
        <TextField
          label="Name"
          value={name}
          maxLength={100}
          autoComplete="off"
          onChange={(event) => setName(event.target.value)}
        />
        <TextField
          label="URL"
          type="url"
          hint="Alerts are posted there as CloudEvents, signed. https, a host of the outside world"
          value={url}
          autoComplete="off"
          onChange={(event) => setUrl(event.target.value)}
        />
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

function RotateDialog({ channel, onClose }: { channel: Channel; onClose: () => void }) {
  const rotate = useRotateChannel();
  if (rotate.data) return <SecretDialog secret={rotate.data.secret} name={channel.name} onClose={onClose} />;
  return (
    <Dialog title={`New secret for ${channel.name}?`} onClose={onClose}>
      <p className="muted">The old one signs nothing any more, from the next message on.</p>
      {rotate.isError && <Wrong>{refusal(rotate.error, "Not made")}</Wrong>}
      <DialogActions>
        <Button onClick={onClose}>Leave it</Button>
        <Button look="primary" isBusy={rotate.isPending} onClick={() => rotate.mutate(channel)}>
          Make a new secret
        </Button>
      </DialogActions>
    </Dialog>
  );
}

/** The one time that a secret is shown. */
function SecretDialog({ secret, name, onClose }: { secret: string; name: string; onClose: () => void }) {
  return (
    <Dialog title={`The secret of ${name}`} onClose={onClose}>
      <p>It is shown this once. Whoever gets the webhook checks the signature of each message with it.</p>
      <code className={css.secret}>{secret}</code>
      <p className="small muted">
        Header Shoal-Signature: t=seconds,v1=HMAC-SHA256 of the seconds, a full stop and the body, in hexadecimal.
      </p>
      <DialogActions>
        <Button onClick={() => void navigator.clipboard?.writeText(secret)}>Copy</Button>
        <Button look="primary" onClick={onClose}>
          I have kept it
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function MailTestDialog({ onClose }: { onClose: () => void }) {
  const [address, setAddress] = useState("");
  const test = useTestChannel();
  const send = (event: FormEvent) => {
    event.preventDefault();
    test.mutate({ channel: "email", address });
  };
  return (
    <Dialog title="Test mail" onClose={onClose}>
      <form onSubmit={send} className={css.form} noValidate>
        <TextField
          label="Mail address"
          type="email"
          value={address}
          onChange={(event) => setAddress(event.target.value)}
        />
        {test.isError && <Wrong>{refusal(test.error, "Not sent")}</Wrong>}
        {test.isSuccess && <p role="status">On its way to {address}.</p>}
        <DialogActions>
          <Button onClick={onClose}>{test.isSuccess ? "Done" : "Leave it"}</Button>
          <Button look="primary" type="submit" isBusy={test.isPending}>
            Send a test
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
