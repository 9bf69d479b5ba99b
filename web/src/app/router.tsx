/** Which address shows which page. Every page is loaded when somebody goes there first. */
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { Problem } from "../api/client";
import { meQuery } from "../api/queries";
import { Broken, NotFound } from "./broken";
import { Layout } from "./layout";

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ component: Outlet, notFoundComponent: NotFound });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search): { next?: string; ended?: boolean } => ({
    next: text(search.next),
    ended: search.ended === true ? true : undefined,
  }),
  component: lazyRouteComponent(() => import("../features/login/login-page"), "LoginPage"),
});

const welcome = createRoute({
  getParentRoute: () => root,
  path: "/welcome",
  component: lazyRouteComponent(() => import("../features/login/welcome-page"), "WelcomePage"),
});

const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queries.ensureQueryData(meQuery);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      throw redirect({ to: "/login", search: location.href === "/" ? {} : { next: location.href } });
    }
  },
  component: Layout,
  errorComponent: Broken,
});

const fleet = createRoute({
  getParentRoute: () => inside,
  path: "/",
  component: lazyRouteComponent(() => import("../features/fleet/fleet-page"), "FleetPage"),
});

const farm = createRoute({
  getParentRoute: () => inside,
  path: "/farms/$farm",
  component: lazyRouteComponent(() => import("../features/fleet/farm-page"), "FarmPage"),
});

const SEVERITIES = ["critical", "high", "warning", "informational"] as const;
const STATUSES = ["new", "healthy", "degraded", "failing", "silent"] as const;

const devices = createRoute({
  getParentRoute: () => inside,
  path: "/devices",
  validateSearch: (search): { farm?: string; status?: (typeof STATUSES)[number]; kind?: string; q?: string } => ({
    farm: text(search.farm),
    status: STATUSES.find((status) => status === search.status),
    kind: text(search.kind),
    q: typeof search.q === "number" ? String(search.q) : text(search.q),
  }),
  component: lazyRouteComponent(() => import("../features/devices/devices-page"), "DevicesPage"),
});

const device = createRoute({
  getParentRoute: () => inside,
  path: "/devices/$device",
  validateSearch: (search): { range?: "1h" | "6h" | "24h" | "7d" | "30d"; series?: string } => ({
    range: (["1h", "6h", "24h", "7d", "30d"] as const).find((range) => range === search.range),
    series: text(search.series),
  }),
  component: lazyRouteComponent(() => import("../features/devices/device-page"), "DevicePage"),
});

const deviceObjects = createRoute({
  getParentRoute: () => device,
  path: "/",
  component: lazyRouteComponent(() => import("../features/devices/objects-tab"), "ObjectsTab"),
});

const deviceTimeline = createRoute({
  getParentRoute: () => device,
  path: "/timeline",
  component: lazyRouteComponent(() => import("../features/devices/timeline-tab"), "TimelineTab"),
});

const deviceUpdate = createRoute({
  getParentRoute: () => device,
  path: "/update",
  component: lazyRouteComponent(() => import("../features/devices/update-tab"), "UpdateTab"),
});

const deviceCredentials = createRoute({
  getParentRoute: () => device,
  path: "/credentials",
  component: lazyRouteComponent(() => import("../features/devices/credentials-tab"), "CredentialsTab"),
});

const alerts = createRoute({
  getParentRoute: () => inside,
  path: "/alerts",
  validateSearch: (search): { state?: "resolved"; farm?: string; severity?: string } => ({
    state: search.state === "resolved" ? "resolved" : undefined,
    farm: text(search.farm),
    severity: text(search.severity),
  }),
  component: lazyRouteComponent(() => import("../features/alerts/inbox-page"), "InboxPage"),
});

const alert = createRoute({
  getParentRoute: () => alerts,
  path: "/$alert",
});

const escalation = createRoute({
  getParentRoute: () => inside,
  path: "/escalation",
  validateSearch: (search): { severity?: (typeof SEVERITIES)[number]; place?: string } => ({
    severity: SEVERITIES.find((severity) => severity === search.severity),
    place: text(search.place),
  }),
  component: lazyRouteComponent(() => import("../features/escalation/escalation-page"), "EscalationPage"),
});

const policy = createRoute({
  getParentRoute: () => inside,
  path: "/escalation/$policy",
  component: lazyRouteComponent(() => import("../features/escalation/policy-page"), "PolicyPage"),
});

const contacts = createRoute({
  getParentRoute: () => inside,
  path: "/settings/contacts",
  component: lazyRouteComponent(() => import("../features/escalation/contacts-page"), "ContactsPage"),
});

const channels = createRoute({
  getParentRoute: () => inside,
  path: "/settings/channels",
  component: lazyRouteComponent(() => import("../features/escalation/channels-page"), "ChannelsPage"),
});

const audit = createRoute({
  getParentRoute: () => inside,
  path: "/settings/audit",
  validateSearch: (search): { by?: string; thing?: string; resource?: string } => ({
    by: text(search.by),
    thing: text(search.thing),
    resource: text(search.resource),
  }),
  component: lazyRouteComponent(() => import("../features/audit/audit-page"), "AuditPage"),
});

const security = createRoute({
  getParentRoute: () => inside,
  path: "/security",
  validateSearch: (search): { q?: string; reason?: string; address?: string; device?: string; subject?: string } => ({
    q: typeof search.q === "number" ? String(search.q) : text(search.q),
    reason: text(search.reason),
    address: text(search.address),
    device: text(search.device),
    subject: text(search.subject),
  }),
  component: lazyRouteComponent(() => import("../features/security/security-page"), "SecurityPage"),
});

const add = createRoute({
  getParentRoute: () => inside,
  path: "/add",
  validateSearch: (search): { device?: string; enclosure?: string } => ({
    device: text(search.device),
    enclosure: text(search.enclosure),
  }),
  component: lazyRouteComponent(() => import("../features/onboarding/add-page"), "AddPage"),
});

const labels = createRoute({
  getParentRoute: () => inside,
  path: "/labels",
  validateSearch: (search): { of?: "devices"; farm?: string; device?: string; format?: "single" } => ({
    of: search.of === "devices" ? "devices" : undefined,
    farm: text(search.farm),
    device: text(search.device),
    format: search.format === "single" ? "single" : undefined,
  }),
  component: lazyRouteComponent(() => import("../features/labels/labels-page"), "LabelsPage"),
});

const people = createRoute({
  getParentRoute: () => inside,
  path: "/people",
  component: lazyRouteComponent(() => import("../features/access/people-page"), "PeoplePage"),
});

const policies = createRoute({
  getParentRoute: () => inside,
  path: "/policies",
  component: lazyRouteComponent(() => import("../features/access/policies-page"), "PoliciesPage"),
});

const whyMay = createRoute({
  getParentRoute: () => inside,
  path: "/policies/why",
  validateSearch: (search): { subject?: string; operation?: string; place?: string; path?: string } => ({
    subject: text(search.subject),
    operation: text(search.operation),
    place: text(search.place),
    path: text(search.path),
  }),
  component: lazyRouteComponent(() => import("../features/access/why-page"), "WhyPage"),
});

const ending = createRoute({
  getParentRoute: () => inside,
  path: "/credentials",
  component: lazyRouteComponent(() => import("../features/credentials/ending-page"), "EndingPage"),
});

const trust = createRoute({
  getParentRoute: () => inside,
  path: "/trust",
  component: lazyRouteComponent(() => import("../features/trust/anchors-page"), "AnchorsPage"),
});

const authorities = createRoute({
  getParentRoute: () => inside,
  path: "/trust/authorities",
  component: lazyRouteComponent(() => import("../features/trust/authorities-page"), "AuthoritiesPage"),
});

const authority = createRoute({
  getParentRoute: () => inside,
  path: "/trust/authorities/$authority",
  validateSearch: (search): { show?: "soon" | "all"; q?: string } => ({
    show: search.show === "soon" || search.show === "all" ? search.show : undefined,
    q: typeof search.q === "number" ? String(search.q) : text(search.q),
  }),
  component: lazyRouteComponent(() => import("../features/trust/authority-page"), "AuthorityPage"),
});

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

const tree = root.addChildren([
  login,
  welcome,
  inside.addChildren([
    fleet,
    farm,
    devices,
    device.addChildren([deviceObjects, deviceTimeline, deviceUpdate, deviceCredentials]),
    alerts.addChildren([alert]),
    escalation,
    policy,
    contacts,
    channels,
    audit,
    security,
    add,
    labels,
    people,
    policies,
    whyMay,
    ending,
    trust,
    authorities,
    authority,
  ]),
]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    defaultPreload: "intent",
    scrollRestoration: true,
    defaultErrorComponent: Broken,
    // Until a page's code is there the frame stands; a lone "loading" would only flicker.
    defaultPendingMs: 500,
  });
}
