/** A key that was just made: the one time that it is shown, as a code to scan and as text to copy. */
import { CopyButton } from "./copy";
import { codeText } from "./device-code";
import css from "./key-once.module.css";
import { QrCode } from "./qr";

export function KeyOnce({
  endpoint,
  identity,
  secret,
  enclosure = "",
}: {
  endpoint: string;
  identity: string;
  secret: string;
  enclosure?: string | null;
}) {
  const text = codeText({ endpoint, identity, key: secret, enclosure: enclosure ?? "" });
  return (
    <div className={css.once}>
      <div className={css.code}>
        <QrCode text={text} label={`Code with the key of ${endpoint}`} size="100%" />
      </div>
      <div className={css.said}>
        <p>
          <b>You will not see this key again.</b> Put it into the device now: scan the code with its app, or copy the
          text.
        </p>
        <dl>
          <div>
            <dt>Identity</dt>
            <dd>
              <code>{identity}</code>
            </dd>
          </div>
          <div>
            <dt>Key</dt>
            <dd>
              <code>{secret}</code>
            </dd>
          </div>
        </dl>
        <div className="row">
          <CopyButton text={secret}>Copy the key</CopyButton>
        </div>
      </div>
    </div>
  );
}
