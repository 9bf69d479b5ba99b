/** Does Shoal issue certificates for us, by which authority, and what has to be done about it? */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useBlockedBy } from "../../api/actions";
import { Problem, why } from "../../api/client";
import { authoritiesQuery } from "../../api/trust";
import { Area } from "../../ui/area";
import { Button } from "../../ui/button";
import { Empty } from "../../ui/notice";
import { count, plural } from "../../ui/words";
import { End, Tabs } from "./area";
import { NewAuthorityDialog } from "./authority-dialogs";
import css from "./trust.module.css";
import type { Authority } from "./words";

export function AuthoritiesPage() {
  const answer = useQuery(authoritiesQuery);
  const blockedBy = useBlockedBy("administer");
  const [isAsked, setAsked] = useState(false);
  const isRefused = answer.error instanceof Problem && answer.error.status === 403;
  return (
    <Area
      title="Own authorities"
      tabs={<Tabs />}
      answer={answer}
      why={why(answer.error)}
      refused={
        isRefused && (
          <Empty title="The authorities of your company are for administrators.">
            <p>
              Whose certificates let devices in stands under <Link to="/trust">Trust anchors</Link>.
            </p>
          </Empty>
        )
      }
      actions={
        <Button look="primary" blockedBy={blockedBy} onClick={() => setAsked(true)}>
          New authority
        </Button>
      }
    >
      {({ authorities }) => (
        <>
          <Authorities authorities={authorities} />
          {isAsked && (
            <NewAuthorityDialog
              roots={authorities.filter((one) => one.state === "current" && one.has_key && one.levels === 1)}
              onClose={() => setAsked(false)}
            />
          )}
        </>
      )}
    </Area>
  );
}

function Authorities({ authorities }: { authorities: Authority[] }) {
  const living = authorities.filter((one) => one.state !== "retired");
  const retired = authorities.filter((one) => one.state === "retired");
  return (
    <>
      <div className={`card ${css.block}`}>
        {living.length === 0 && (
          <Empty title="No authority of your own.">
            <p>
              With one, Shoal issues certificates: devices fetch them by themselves and renew them before they end. One
              that was made elsewhere is taken in with <code>shoal ca create --certificate</code>.
            </p>
          </Empty>
        )}
        <ul>
          {living.map((authority) => (
            <Line key={authority.id} authority={authority} />
          ))}
        </ul>
      </div>
      {retired.length > 0 && (
        <details className={css.other}>
          <summary>{count(retired.length)} retired</summary>
          <ul className={`card ${css.block}`}>
            {retired.map((authority) => (
              <Line key={authority.id} authority={authority} />
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Line({ authority }: { authority: Authority }) {
  return (
    <li>
      <Link to="/trust/authorities/$authority" params={{ authority: authority.id }} className={css.entry}>
        <b>{authority.name}</b>
        <code className="muted">{authority.id}</code>
        <span>{standing(authority)}</span>
        <span className="muted">{plural(authority.devices, "device")}</span>
        {authority.not_after && authority.state !== "retired" && (
          <End at={authority.not_after} isSoon={authority.ends_soon} />
        )}
      </Link>
    </li>
  );
}

export function standing({ state, levels, has_key }: Authority): string {
  const kind = levels === 1 ? "Root" : "Intermediate";
  if (state === "retired") return `${kind}, retired`;
  if (state === "retiring") return `${kind}, gives way to its successor`;
  return has_key ? `${kind}, issues certificates` : `${kind} without its key: it issues nothing`;
}
