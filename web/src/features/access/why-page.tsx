/** May somebody do that, there, on this path; and which rule says so? The question is the address. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { askableQuery, type Question, whyQuery } from "../../api/access";
import { why } from "../../api/client";
import { SelectField, TextField } from "../../ui/field";
import { Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import css from "./access.module.css";
import { Tabs } from "./area";
import { BEARINGS, isOfServers, operationsOf } from "./words";

export function WhyPage() {
  const question = useSearch({ from: "/inside/policies/why" });
  const navigate = useNavigate({ from: "/policies/why" });
  const set = (more: Question) => void navigate({ search: (before) => ({ ...before, ...more }), replace: true });
  const { data: screen } = useQuery(askableQuery);
  const others = screen ? [...screen.people, ...screen.tokens] : [];
  const servers = screen?.servers ?? [];
  const isServer = isOfServers(question.subject ?? "");
  const isListed = (id: string | undefined, known: { id: string }[]) => !id || known.some((one) => one.id === id);
  return (
    <Page title="Why may X do Y?" documentTitle="Why">
      <Tabs />
      <search className={`card ${css.question}`}>
        <SelectField
          label="Who"
          value={question.subject ?? ""}
          onChange={(event) => set({ subject: event.target.value || undefined })}
        >
          <option value="">you</option>
          {!isListed(question.subject, [...others, ...servers]) && (
            <option value={question.subject}>{question.subject}</option>
          )}
          {others.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
          {servers.length > 0 && (
            <optgroup label="Other LwM2M servers of devices">
              {servers.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name}
                </option>
              ))}
            </optgroup>
          )}
        </SelectField>
        <SelectField
          label="What"
          value={question.operation ?? "read"}
          onChange={(event) => set({ operation: event.target.value })}
        >
          {operationsOf(question.subject ?? "").map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </SelectField>
        <SelectField
          label="Where"
          value={question.place ?? ""}
          onChange={(event) => set({ place: event.target.value || undefined })}
        >
          <option value="">everything of the company</option>
          {!isListed(question.place, screen?.places ?? []) && <option value={question.place}>{question.place}</option>}
          {(screen?.places ?? []).map((place) => (
            <option key={place.id} value={place.id}>
              {place.name}
            </option>
          ))}
        </SelectField>
        <TextField
          label={isServer ? "Object instance" : "Path, if it is about one"}
          placeholder={isServer ? "/3/0" : "/3/0/15"}
          defaultValue={question.path ?? ""}
          onBlur={(event) => set({ path: event.target.value.trim() || undefined })}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        />
      </search>
      {isServer && !question.path ? (
        <p className="card">What another server may is decided for each object instance of a device: say one.</p>
      ) : (
        <Answer question={question} />
      )}
    </Page>
  );
}

function Answer({ question }: { question: Question }) {
  const { data, error, isError, refetch } = useQuery(whyQuery(question));
  if (isError) {
    return (
      <div className="card">
        <Failed what="That could not be answered" why={why(error)} onRetry={() => void refetch()} />
      </div>
    );
  }
  if (!data) {
    return (
      <div className="card">
        <Skeleton rows={3} height={48} label="Looking at the rules" />
      </div>
    );
  }
  return (
    <section className="card" aria-label="The answer">
      <p className={`${css.verdict} ${data.is_allowed ? "" : css.deny}`} role="status">
        {data.says}
      </p>
      <ol className={css.rows} aria-label="Rules that were looked at">
        {data.because.map((rule) => (
          <li key={`${rule.policy} ${rule.bearing}`} className={css.row}>
            <span className={rule.bearing in DECIDING ? "" : css.silent}>{rule.says}</span>
            <span className="small muted">
              {BEARINGS[rule.bearing] ?? rule.bearing} · {rule.is_built_in ? "of the role" : rule.policy}
            </span>
          </li>
        ))}
      </ol>
      {data.because.length === 0 && <p className={css.verdict}>No rule names them.</p>}
    </section>
  );
}

const DECIDING = { denies: true, allows: true };
