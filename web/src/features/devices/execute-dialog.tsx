/** Having a device do something, with arguments where it takes some. */
import { type FormEvent, useState } from "react";
import type { Asked } from "../../api/actions";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import css from "./objects.module.css";
import { type Resource, useTree } from "./tree";

/** OMA LwM2M Core 1.1, appendix E.4: what some executables of object 3 do, for those who must decide. */
const DOES: Record<string, string> = {
  "/3/0/4": "It restarts and registers again; readings are missing for a minute or so.",
  "/3/0/5": "It forgets its settings, its keys and this server. Somebody may have to go there to set it up again.",
  "/5/0/2": "It installs the package it holds and restarts.",
};
/** Nothing brings these back from afar. */
const ASKS_FOR_NAME = new Set(["/3/0/5"]);
/** OMA LwM2M Core 1.1 §6.3.5: digits, each once; a value is printable ASCII without quotes and backslash. */
const DIGITS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const ARGUMENT = /^[!#-&(-[\]-~]*$/;

type Props = { resource: Resource; onSend: (asked: Asked) => void; onClose: () => void };

export function ExecuteDialog({ resource, onSend, onClose }: Props) {
  const { name } = useTree();
  const [typed, setTyped] = useState("");
  const [given, setGiven] = useState<[string, string][]>([]);
  const { path } = resource;
  const isUnsure = ASKS_FOR_NAME.has(path) && typed.trim() !== name;
  const isWrong = given.some(([, value]) => !ARGUMENT.test(value));
  const next = DIGITS.find((digit) => !given.some(([taken]) => taken === digit));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isUnsure || isWrong) return;
    const said = given.map(([digit, value]) => [digit, value === "" ? null : value] as const);
    onSend({ operation: "execute", path, arguments: Object.fromEntries(said) });
  };
  return (
    <Dialog title={`${resource.name}: ${name}`} onClose={onClose}>
      <form onSubmit={submit} className={css.form} noValidate>
        <p>{DOES[path] ?? `${name} executes ${path} as soon as it is awake.`}</p>
        {given.map(([digit, value]) => (
          <div key={digit} className={css.line}>
            <TextField
              label={`Argument ${digit}`}
              value={value}
              autoComplete="off"
              hint="may stay empty"
              wrong={
                ARGUMENT.test(value) ? null : "Plain letters, digits and signs, without space, quotes or backslash."
              }
              onChange={(event) =>
                setGiven(given.map((each) => (each[0] === digit ? [digit, event.target.value] : each)))
              }
            />
            <Button onClick={() => setGiven(given.filter((each) => each[0] !== digit))}>
              Remove<span className="sr"> argument {digit}</span>
            </Button>
          </div>
        ))}
        {next !== undefined && (
          <div>
            <Button onClick={() => setGiven([...given, [next, ""]])}>Add an argument</Button>
          </div>
        )}
        {ASKS_FOR_NAME.has(path) && (
          <TextField
            label={`Type ${name} to confirm`}
            value={typed}
            autoComplete="off"
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button
            look={ASKS_FOR_NAME.has(path) ? "danger" : "primary"}
            type="submit"
            blockedBy={isUnsure ? "Type the device's name first." : isWrong ? "An argument cannot be sent." : null}
          >
            Execute {resource.name}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
