/** One object of a device with its instances, and what can be asked of either. */
import { memo, useState } from "react";
import { type Asked, useAskDevice } from "../../api/actions";
import type { Shown } from "../../api/client";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { plural } from "../../ui/words";
import { CreateDialog, DeleteDialog } from "./instance-dialogs";
import css from "./objects.module.css";
import { ReportingDialog, ReportingNote, Said } from "./reporting";
import { ResourceRow } from "./resource-row";
import { type Observation, type TreeObject, useTree } from "./tree";

type Observed = ReadonlyMap<string, Observation>;
type Props = {
  object: TreeObject;
  observed: Observed;
  /** How it begins; after that it is the reader's. On a phone, forty resources are a long way to the next object. */
  isOpen: boolean;
};

export const ObjectGroup = memo(function ObjectGroup({ object, observed, isOpen: begins }: Props) {
  const { canAct } = useTree();
  const [isOpen, setOpen] = useState(begins);
  const observation = observed.get(object.path);
  return (
    <details open={isOpen} className={css.object} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Icon name="chevron" className={css.chevron} />
        <code>{object.path}</code>
        <b>{object.name}</b>
        <span className="small muted">
          {[
            object.version && `version ${object.version}`,
            object.instances.length !== 1 && plural(object.instances.length, "instance"),
          ]
            .filter(Boolean)
            .join(", ")}
        </span>
      </summary>
      {/* What is folded away is not drawn: three hundred rows with their buttons take their time. */}
      {isOpen && (
        <>
          <div className={css.head}>
            <span className="small muted">
              <code>{object.urn}</code>
              {!object.is_known && " Nothing defines it: types are those of the values that came."}
              {observation && (
                <>
                  {" "}
                  <ReportingNote observation={observation} units="" />
                </>
              )}
            </span>
            {canAct && <ObjectActs object={object} observation={observation} only={onlyInstance(object)} />}
          </div>
          {object.instances.length === 0 && <p className={css.instance}>It has no instance.</p>}
          {object.instances.map((instance) => (
            <Instance
              key={instance.path}
              object={object}
              instance={instance}
              observed={observed}
              hasHead={onlyInstance(object) === null || observed.has(instance.path)}
            />
          ))}
        </>
      )}
    </details>
  );
});

/** The one instance of an object that has no more: what is asked of the object is asked of it. */
function onlyInstance(object: TreeObject): Shown["InstanceShown"] | null {
  return object.can_create || object.instances.length !== 1 ? null : (object.instances[0] ?? null);
}

function ObjectActs({
  object,
  observation,
  only,
}: {
  object: TreeObject;
  observation: Observation | undefined;
  only: Shown["InstanceShown"] | null;
}) {
  const { device } = useTree();
  const ask = useAskDevice(device);
  const [isOpen, setOpen] = useState<"create" | "delete" | "report" | null>(null);
  const send = (asked: Asked) => {
    setOpen(null);
    ask.mutate(asked);
  };
  const { path, name } = object;
  const what = <span className="sr"> {name}</span>;
  return (
    <>
      <span className={css.acts}>
        <Button look="mini" isBusy={ask.isPending} onClick={() => send({ operation: "read", path })}>
          Read<span className="sr"> all of {name}</span>
        </Button>
        <Button look="mini" isBusy={ask.isPending} onClick={() => send({ operation: "discover", path })}>
          Discover{what}
        </Button>
        <Button look="mini" onClick={() => setOpen("report")}>
          Reporting<span className="sr"> of all of {name}</span>
        </Button>
        {object.can_create && (
          <Button look="mini" isBusy={ask.isPending} onClick={() => setOpen("create")}>
            New instance<span className="sr"> of {name}</span>
          </Button>
        )}
        {only && object.can_delete && (
          <Button look="mini" isBusy={ask.isPending} onClick={() => setOpen("delete")}>
            Delete<span className="sr"> {only.path}</span>
          </Button>
        )}
      </span>
      <Said ask={ask} />
      {isOpen === "delete" && only && (
        <DeleteDialog object={object} instance={only} onSend={send} onClose={() => setOpen(null)} />
      )}
      {isOpen === "create" && <CreateDialog object={object} onSend={send} onClose={() => setOpen(null)} />}
      {isOpen === "report" && (
        <ReportingDialog
          about={{ path, name, type: "", units: "" }}
          observation={observation}
          onClose={() => setOpen(null)}
        />
      )}
    </>
  );
}

type InstanceProps = { object: TreeObject; instance: Shown["InstanceShown"]; observed: Observed; hasHead: boolean };

function Instance({ object, instance, observed, hasHead }: InstanceProps) {
  const { device, canAct } = useTree();
  const ask = useAskDevice(device);
  const [isOpen, setOpen] = useState<"delete" | "report" | null>(null);
  const { path } = instance;
  const observation = observed.get(path);
  const send = (asked: Asked) => {
    setOpen(null);
    ask.mutate(asked);
  };
  const about = { path, name: `${object.name} ${path}`, type: "", units: "" };
  return (
    <section aria-label={about.name}>
      {hasHead && (
        <div className={css.instance}>
          <span>
            <code>{path}</code>
            {observation && (
              <>
                {" "}
                <ReportingNote observation={observation} units="" />
              </>
            )}
          </span>
          {canAct && (
            <span className={css.acts}>
              <Button look="mini" isBusy={ask.isPending} onClick={() => send({ operation: "read", path })}>
                Read<span className="sr"> {path}</span>
              </Button>
              <Button look="mini" onClick={() => setOpen("report")}>
                Reporting<span className="sr"> {path}</span>
              </Button>
              {object.can_delete && (
                <Button look="mini" isBusy={ask.isPending} onClick={() => setOpen("delete")}>
                  Delete<span className="sr"> {path}</span>
                </Button>
              )}
            </span>
          )}
          <Said ask={ask} />
        </div>
      )}
      <ul>
        {instance.resources.map((resource) => (
          <ResourceRow key={resource.path} resource={resource} observation={observed.get(resource.path)} />
        ))}
      </ul>
      {isOpen === "delete" && (
        <DeleteDialog object={object} instance={instance} onSend={send} onClose={() => setOpen(null)} />
      )}
      {isOpen === "report" && <ReportingDialog about={about} observation={observation} onClose={() => setOpen(null)} />}
    </section>
  );
}
