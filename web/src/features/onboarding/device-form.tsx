/** What the code said of a device, to be looked over: its name, its kind, where it will hang, its key. */
import { type FormEvent, useState } from "react";
import { type NewDeviceAsked, type useAddDevice, useBlockedBy } from "../../api/actions";
import { Problem, why } from "../../api/client";
import { Button } from "../../ui/button";
import { type DeviceCode, scanned } from "../../ui/device-code";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { Wrong } from "../../ui/notice";
import css from "./onboarding.module.css";
import { type Farms, placeOf } from "./places";
import { Scanner } from "./scanner";

export function DeviceForm({
  code,
  farms,
  enclosure,
  adding,
  onEnclosure,
  onBack,
  onAdd,
}: {
  code: DeviceCode;
  farms: Farms;
  enclosure: string | undefined;
  adding: ReturnType<typeof useAddDevice>;
  onEnclosure: (id: string) => void;
  onBack: () => void;
  onAdd: (asked: NewDeviceAsked) => void;
}) {
  const blockedBy = useBlockedBy("create");
  const [endpoint, setEndpoint] = useState(code.endpoint);
  const [kind, setKind] = useState(code.kind);
  const [isScanning, setScanning] = useState(false);
  const isNamed = endpoint.trim() !== "";
  const add = (event: FormEvent) => {
    event.preventDefault();
    if (!isNamed || blockedBy !== null || adding.isPending) return;
    const name = endpoint.trim();
    onAdd({
      endpoint: name,
      kind,
      name: "",
      mode: code.mode,
      enclosure: enclosure || null,
      // A name that was corrected by hand goes for the identity, too, unless the code had one of its own.
      identity: code.identity === code.endpoint ? name : code.identity,
      key: code.key,
    });
  };
  return (
    <form className={`card pad ${css.narrow} ${css.form}`} onSubmit={add} noValidate>
      <TextField
        label="Endpoint name"
        hint="The name under which the device registers. It stands on its label, or in its settings."
        value={endpoint}
        maxLength={128}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setEndpoint(event.target.value)}
      />
      <SelectField label="Kind" value={kind} onChange={(event) => setKind(event.target.value as DeviceCode["kind"])}>
        <option value="sensor">sensor</option>
        <option value="camera">camera</option>
      </SelectField>
      <div className={css.where}>
        <SelectField label="Enclosure" value={enclosure ?? ""} onChange={(event) => onEnclosure(event.target.value)}>
          <option value="">none yet</option>
          {farms.map((farm) => (
            <optgroup key={farm.id} label={farm.name}>
              {farm.enclosures.map((each) => (
                <option key={each.id} value={each.id}>
                  {each.name}
                </option>
              ))}
            </optgroup>
          ))}
        </SelectField>
        <Button onClick={() => setScanning(true)}>Scan its label</Button>
      </div>
      <p className="muted">{keyWords(code)}</p>
      {adding.isError && <Wrong>Not added {reason(adding.error)}</Wrong>}
      <div className={css.buttons}>
        <Button onClick={onBack}>Scan again</Button>
        <Button
          look="primary"
          type="submit"
          isBusy={adding.isPending}
          blockedBy={blockedBy ?? (isNamed ? null : "It needs its endpoint name.")}
        >
          Add the device
        </Button>
      </div>
      {blockedBy && <p className="small muted">{blockedBy}</p>}
      {isScanning && (
        <EnclosureDialog
          farms={farms}
          onClose={() => setScanning(false)}
          onEnclosure={(id) => {
            setScanning(false);
            onEnclosure(id);
          }}
        />
      )}
    </form>
  );
}

function keyWords(code: DeviceCode): string {
  if (code.mode === "x509") return "It shows a certificate that one of your trust anchors has issued.";
  return code.key
    ? `Its key came with the code (${code.key.length / 2} bytes).`
    : "Shoal makes a key for it, which is shown once and has to be put into the device.";
}

function reason(error: Error): string {
  return error instanceof Problem && error.status === 409 ? `(${error.title}).` : why(error);
}

function EnclosureDialog({
  farms,
  onClose,
  onEnclosure,
}: {
  farms: Farms;
  onClose: () => void;
  onEnclosure: (id: string) => void;
}) {
  const [wrong, setWrong] = useState<string | null>(null);
  const [looks, setLooks] = useState(0);
  const take = (text: string) => {
    const found = scanned(text);
    if (found.is === "enclosure" && placeOf(farms, found.id)) return onEnclosure(found.id);
    setWrong(found.is === "wrong" ? found.why : "This is not the label of an enclosure of yours.");
    setLooks((before) => before + 1);
  };
  return (
    <Dialog title="Scan the label of the enclosure" onClose={onClose}>
      {wrong && <Wrong>{wrong}</Wrong>}
      <Scanner key={looks} onText={take} typing="Or type its id, enc-…" />
      <DialogActions>
        <Button onClick={onClose}>Leave it</Button>
      </DialogActions>
    </Dialog>
  );
}
