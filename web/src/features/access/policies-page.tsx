/** Policies as sentences: those that were written here, and those of the roles, which nobody changes. */
import { useState } from "react";
import { type Seen, useRemoveSentence } from "../../api/access";
import type { Shown } from "../../api/client";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { Empty } from "../../ui/notice";
import css from "./access.module.css";
import { Area, type Screen, Wrong } from "./area";
import { SentenceDialog } from "./sentence-dialog";

type Policy = Shown["AccessPolicyLine"];

export function PoliciesPage() {
  const [isNew, setNew] = useState(false);
  return (
    <Area
      title="Policies"
      actions={
        <Button look="primary" onClick={() => setNew(true)}>
          New policy
        </Button>
      }
    >
      {(screen) => (
        <>
          {screen.policies.length === 0 && (
            <div className="card">
              <Empty title="Roles alone say who may do what.">
                <p>A policy allows somebody more at a place, or denies it. Whatever denies wins.</p>
              </Empty>
            </div>
          )}
          {screen.policies.length > 0 && (
            <ul className={`card ${css.rows}`} aria-label="Policies">
              {screen.policies.map((policy) => (
                <Row key={policy.id} screen={screen} policy={policy} />
              ))}
            </ul>
          )}
          <h2 className={css.section}>What the roles say</h2>
          <ul className={`card ${css.rows}`} aria-label="Roles">
            {screen.roles.flatMap((role) =>
              role.says.map((says) => (
                <li key={says} className={css.row}>
                  {says}
                </li>
              )),
            )}
          </ul>
          {isNew && <SentenceDialog screen={screen} policy={null} onClose={() => setNew(false)} />}
        </>
      )}
    </Area>
  );
}

function Row({ screen, policy }: { screen: Screen; policy: Policy }) {
  const [isEdited, setEdited] = useState(false);
  return (
    <li className={css.row}>
      <div>
        <p className={`${css.says} ${policy.effect === "deny" ? css.deny : ""}`}>{policy.says}</p>
        {policy.warnings.map((warning) => (
          <p key={warning} className={css.warn}>
            {warning}
          </p>
        ))}
        <p className="small muted">
          {policy.note && `${policy.note} · `}by {policy.changed_by}{" "}
          {policy.changed_at && <Age at={policy.changed_at} />} · <code>{policy.id}</code>
        </p>
      </div>
      <div className={css.acts}>
        <Button aria-label={`Edit: ${policy.says}`} onClick={() => setEdited(true)}>
          Edit
        </Button>
        <Remove policy={policy} />
      </div>
      {isEdited && <SentenceDialog screen={screen} policy={policy} onClose={() => setEdited(false)} />}
    </li>
  );
}

function Remove({ policy }: { policy: Policy }) {
  const [seen, setSeen] = useState<Seen | null>(null);
  const remove = useRemoveSentence();
  return (
    <>
      <Button look="quiet" aria-label={`Delete: ${policy.says}`} onClick={() => setSeen(policy)}>
        Delete
      </Button>
      {seen && (
        <Dialog title="Delete this policy?" onClose={() => setSeen(null)}>
          <p>{policy.says}</p>
          {remove.isError && <Wrong error={remove.error} not="Not deleted" />}
          <DialogActions>
            <Button onClick={() => setSeen(null)}>Leave it</Button>
            <Button look="danger" isBusy={remove.isPending} onClick={() => remove.mutate(seen)}>
              Delete
            </Button>
          </DialogActions>
        </Dialog>
      )}
    </>
  );
}
