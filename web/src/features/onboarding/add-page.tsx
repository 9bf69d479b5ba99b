/** How do I get this device into its enclosure, and is it there now? Scan, choose, wait until it is here. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useAddDevice } from "../../api/actions";
import type { Shown } from "../../api/client";
import { placesQuery } from "../../api/queries";
import { Button } from "../../ui/button";
import { type DeviceCode, scanned } from "../../ui/device-code";
import { KeyOnce } from "../../ui/key-once";
import { Wrong } from "../../ui/notice";
import { Page, Section } from "../../ui/page";
import { DeviceForm } from "./device-form";
import css from "./onboarding.module.css";
import { type Farms, placeOf } from "./places";
import { Scanner } from "./scanner";
import { Waiting } from "./waiting";

export function AddPage() {
  const { device, enclosure } = useSearch({ from: "/inside/add" });
  const { data: places } = useQuery(placesQuery);
  const navigate = useNavigate({ from: "/add" });
  const [made, setMade] = useState<Shown["NewDevice"] | null>(null);
  const farms = places?.farms ?? [];
  if (device) {
    const next = () => {
      setMade(null);
      void navigate({ search: { enclosure } });
    };
    return (
      <Page title="Add a device" documentTitle="Add a device">
        {made?.key && (
          <section className={`card pad ${css.narrow} ${css.block}`} aria-label="The key of the device">
            <KeyOnce endpoint={made.endpoint} identity={made.identity} secret={made.key} enclosure={enclosure} />
          </section>
        )}
        <Waiting device={device} />
        <div className={css.block}>
          <Button onClick={next}>Next device{enclosure ? ", same enclosure" : ""}</Button>
        </div>
      </Page>
    );
  }
  return (
    <NewDevice
      farms={farms}
      enclosure={enclosure}
      onEnclosure={(id) => void navigate({ search: { enclosure: id }, replace: true })}
      onMade={(one, where) => {
        setMade(one);
        void navigate({ search: { device: one.id, enclosure: where } });
      }}
    />
  );
}

const BLANK: DeviceCode = {
  endpoint: "",
  kind: "sensor",
  mode: "psk",
  identity: "",
  key: "",
  enclosure: "",
  server: "",
};

function NewDevice({
  farms,
  enclosure,
  onEnclosure,
  onMade,
}: {
  farms: Farms;
  enclosure: string | undefined;
  onEnclosure: (id: string) => void;
  onMade: (made: Shown["NewDevice"], enclosure: string | undefined) => void;
}) {
  const [code, setCode] = useState<DeviceCode | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  // Each code that was of no use makes room for another look.
  const [looks, setLooks] = useState(0);
  const navigate = useNavigate();
  const add = useAddDevice();
  const again = (reason: string | null) => {
    setWrong(reason);
    setLooks((before) => before + 1);
  };
  const queries = useQueryClient();
  const take = async (text: string) => {
    const found = scanned(text);
    // A quick hand has a code before the page has its places.
    const known = await queries.ensureQueryData(placesQuery).then(
      (screen) => screen.farms,
      () => farms,
    );
    switch (found.is) {
      case "new device": {
        setWrong(null);
        if (placeOf(known, found.code.enclosure)) onEnclosure(found.code.enclosure);
        return setCode(found.code);
      }
      case "name":
        return setCode({ ...BLANK, endpoint: found.text, identity: found.text });
      case "device":
        return void navigate({ to: "/devices/$device", params: { device: found.id } });
      case "enclosure":
        if (!placeOf(known, found.id)) return again(`No enclosure of yours has the id ${found.id}.`);
        onEnclosure(found.id);
        return again(null);
      case "wrong":
        return again(found.why);
    }
  };
  const place = placeOf(farms, enclosure);
  if (code === null) {
    return (
      <Page title="Add a device" documentTitle="Add a device">
        {place && (
          <p className={css.block} role="status">
            Into <b>{place}</b>.
          </p>
        )}
        <Section title="Scan the code of the device">
          <div className={`card pad ${css.narrow}`}>
            {wrong && <Wrong>{wrong}</Wrong>}
            <Scanner
              key={looks}
              onText={(text) => void take(text)}
              typing="Or type its name, or the text of the code"
            />
          </div>
        </Section>
        <p className={css.block}>
          The label of an enclosure chooses where the device will hang; the label of a device that is here already opens
          its page.
        </p>
        <Button onClick={() => setCode(BLANK)}>Go on without a code</Button>
      </Page>
    );
  }
  return (
    <Page title="Add a device" documentTitle="Add a device">
      <DeviceForm
        code={code}
        farms={farms}
        enclosure={enclosure}
        adding={add}
        onEnclosure={onEnclosure}
        onBack={() => setCode(null)}
        onAdd={(asked) => add.mutate(asked, { onSuccess: (made) => onMade(made, asked.enclosure ?? undefined) })}
      />
    </Page>
  );
}
