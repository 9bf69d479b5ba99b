/** Battery, radio, memory, firmware: each with its unit and its age. What is old turns grey, and its age speaks up. */
import type { Shown } from "../../api/client";
import { Span } from "../../ui/age";
import { useNow } from "../../ui/clock";
import { Icon } from "../../ui/icon";
import { quantity } from "../../ui/words";
import css from "./device.module.css";

type Vital = Shown["VitalShown"] | null;

/** Devices that do not say how often they report are expected this often. */
const INTERVAL_S = 1_800;
const BATTERY_LOW_PERCENT = 10;

export function Vitals({ screen }: { screen: Shown["DeviceScreen"] }) {
  const { device } = screen;
  const intervalS = screen.registration?.lifetime_s || INTERVAL_S;
  const battery = device.battery_percent;
  const isLow = typeof battery?.value === "number" && battery.value <= BATTERY_LOW_PERCENT;
  const volts =
    typeof screen.battery_mv?.value === "number" ? `${(screen.battery_mv.value / 1000).toFixed(2)}\u202fV` : "";
  const shared = { intervalS, isOld: device.status === "silent" };
  return (
    <dl className={`card ${css.vitals}`}>
      <One name="Battery" of={battery} unit="%" also={volts} isBad={isLow} {...shared} />
      <One name="Signal" of={device.signal_dbm} unit="dBm" {...shared} />
      <One name="Free memory" of={screen.free_memory_kb} unit="kB" {...shared} />
      <One name="Firmware" of={device.firmware_version} unit="" isLasting {...shared} />
    </dl>
  );
}

function One({
  name,
  of,
  unit,
  also = "",
  isBad = false,
  isOld,
  isLasting = false,
  intervalS,
}: {
  name: string;
  of: Vital;
  unit: string;
  also?: string;
  isBad?: boolean;
  isOld: boolean;
  /** It does not change by itself, so that its age says nothing. */
  isLasting?: boolean;
  intervalS: number;
}) {
  const now = useNow();
  const age = of?.at ? now - Date.parse(of.at) : 0;
  const isAged = !isLasting && (isOld || age > 2 * intervalS * 1000);
  return (
    <div>
      <dt>{name}</dt>
      {of ? (
        <>
          <dd
            className={`${css.value} ${isAged ? "muted" : ""} ${isBad && !isAged ? css.bad : ""}`}
            data-quantity={name}
          >
            {typeof of.value === "number" ? <Split value={of.value} unit={unit} /> : of.value}
            {also && <small>{also}</small>}
          </dd>
          {of.at && (
            <dd className={isAged ? css.aged : css.age}>
              {isAged && <Icon name="stale" size={14} />}
              <span>
                {isLasting ? "for " : ""}
                <Span since={of.at} />
                {isLasting ? "" : " ago"}
              </span>
            </dd>
          )}
        </>
      ) : (
        <dd className={`${css.value} muted`}>
          <small>not reported</small>
        </dd>
      )}
    </div>
  );
}

function Split({ value, unit }: { value: number; unit: string }) {
  return (
    <>
      {quantity(value)} <small>{unit}</small>
    </>
  );
}
