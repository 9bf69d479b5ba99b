package shoal.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.send.ManualDataSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.client.util.LinkFormatHelper;
import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.LwM2mId;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mEncoder;
import org.eclipse.leshan.core.node.codec.LwM2mValueChecker;
import org.eclipse.leshan.core.node.codec.NodeDecoder;
import org.eclipse.leshan.core.node.codec.NodeEncoder;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.response.SendResponse;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

/**
 * A headless LwM2M client on Leshan's client library.
 *
 * <p>Arguments, each as name=value: "uri" of the server, "endpoint", "lifetime" in seconds; "identity" and "key" in hex, or
 * "certificate", "key" and "server" as PEM files (its own, its key, and what the server has to show); "cid", the length of
 * the connection id it wants in what it gets (none by default); "formats", the only content formats it speaks
 * ("TLV,SENML_JSON"; all by default), "queue", whether it sleeps between updates, "bootstrap", whether the server is a
 * bootstrap server, "shared", whether it has another server and tells in object 2 what each may, "version" ("1.0"; the library's own by default), "suites", the only ones it offers, by their names,
 * "mtu" of its handshakes in bytes, "repeat", after how many milliseconds it repeats a flight of them; with "query." before
 * it, a further query parameter. Then it obeys lines on standard input ("value 21.5", "send SENML_CBOR /3303/0/5700
 * /3/0/9", "collect /3303/0/5700", "flush SENML_JSON", "update", "stop"; "become name=value ..." to begin anew without a
 * word, with other arguments beside those from the start) and tells on standard output what happened, a line each.
 */
public final class LeshanPeer {
    private static final int SERVER_ID = 123;
    private static final int OTHER_SERVER_ID = 124;
    private static final String QUERY = "query.";

    private LeshanPeer() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> settings = settings(Map.of(), List.of(arguments));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Map<String, String> now = settings;
        while (now != null) {
            Thermometer thermometer = new Thermometer();
            LeshanClient client = client(now, thermometer);
            client.addObserver(new Narrator());
            client.start();
            List<String> changes = obey(lines, client, thermometer);
            client.destroy(changes == null);
            now = changes == null ? null : settings(settings, changes);
        }
        System.exit(0);
    }

    private static Map<String, String> settings(Map<String, String> before, List<String> changes) {
        Map<String, String> settings = new HashMap<>(before);
        for (String change : changes) {
            String[] pair = change.split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        return settings;
    }

    private static LeshanClient client(Map<String, String> settings, Thermometer thermometer) throws Exception {
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        models.add(Thermometer.MODEL);
        models.add(TestObject.MODEL);
        int lifetime = Integer.parseInt(settings.get("lifetime"));
        boolean shared = Boolean.parseBoolean(settings.get("shared"));
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(models));
        objects.setInstancesForObject(LwM2mId.SECURITY, Accounts.security(settings, SERVER_ID));
        if (Boolean.parseBoolean(settings.get("bootstrap"))) {
            // Whom it registers with is the bootstrap server's to say.
            objects.setClassForObject(LwM2mId.SERVER, Server.class);
        } else {
            objects.setInstancesForObject(LwM2mId.SERVER, servers(lifetime, shared));
        }
        if (shared) {
            // Object 2 as bootstrap left it: the rights on the Device object are this server's to give.
            objects.setInstancesForObject(
                    LwM2mId.ACCESS_CONTROL,
                    new SimpleInstanceEnabler(0, 0, 3L, 1, 0L, 2, Map.of((int) SERVER_ID, 15L), 3, (long) SERVER_ID));
        }
        objects.setInstancesForObject(LwM2mId.DEVICE, new PeerDevice());
        objects.setInstancesForObject(Thermometer.OBJECT, thermometer);
        objects.setClassForObject(TestObject.OBJECT, TestObject.class);
        objects.setInstancesForObject(TestObject.OBJECT, TestObject.first());

        LeshanClientBuilder builder = new LeshanClientBuilder(settings.get("endpoint"));
        builder.setObjects(objects.createAll());
        builder.setDataSenders(new ManualDataSender());
        builder.setEndpointsProviders(endpoints(settings));
        builder.setAdditionalAttributes(queries(settings));
        String formats = settings.get("formats");
        if (formats != null) {
            speakOnly(builder, Stream.of(formats.split(",")).map(ContentFormat::fromName).collect(Collectors.toSet()));
        }
        boolean older = settings.getOrDefault("version", "1.1").equals("1.0");
        if (older) {
            builder.setLinkFormatHelper(new LinkFormatHelper(LwM2mVersion.V1_0));
        }
        DefaultRegistrationEngineFactory engine =
                older ? new OlderEngineFactory() : new DefaultRegistrationEngineFactory();
        engine.setCommunicationPeriod(lifetime * 1000 / 2);
        engine.setReconnectOnUpdate(false);
        engine.setQueueMode(Boolean.parseBoolean(settings.get("queue")));
        builder.setRegistrationEngineFactory(engine);
        return builder.build();
    }

    private static Server[] servers(int lifetime, boolean shared) {
        Stream<Integer> ids = shared ? Stream.of(SERVER_ID, OTHER_SERVER_ID) : Stream.of(SERVER_ID);
        return ids.map(id -> new Server(id, lifetime, EnumSet.of(BindingMode.U), false, BindingMode.U))
                .toArray(Server[]::new);
    }

    /** What it cannot encode it does not announce, and answers with 4.06. */
    private static void speakOnly(LeshanClientBuilder builder, Set<ContentFormat> formats) {
        Map<ContentFormat, NodeEncoder> encoders = DefaultLwM2mEncoder.getDefaultNodeEncoders(false);
        Map<ContentFormat, NodeDecoder> decoders = DefaultLwM2mDecoder.getDefaultNodeDecoders(false);
        encoders.keySet().retainAll(formats);
        decoders.keySet().retainAll(formats);
        builder.setEncoder(new DefaultLwM2mEncoder(encoders, Map.of(), new LwM2mValueChecker()));
        builder.setDecoder(new DefaultLwM2mDecoder(decoders));
    }

    private static CaliforniumClientEndpointsProvider endpoints(Map<String, String> settings) {
        CaliforniumClientEndpointsProvider.Builder builder = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = builder.createDefaultConfiguration();
        Accounts.configure(configuration, settings);
        builder.setConfiguration(configuration);
        return builder.build();
    }

    private static Map<String, String> queries(Map<String, String> settings) {
        return settings.entrySet().stream()
                .filter(setting -> setting.getKey().startsWith(QUERY))
                .collect(Collectors.toMap(setting -> setting.getKey().substring(QUERY.length()), Map.Entry::getValue));
    }

    /** Carries out lines until it shall become somebody else, or stop: then it returns null. */
    private static List<String> obey(BufferedReader lines, LeshanClient client, Thermometer thermometer)
            throws Exception {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.trim().split(" ");
            switch (words[0]) {
                case "value" -> thermometer.show(Double.parseDouble(words[1]));
                case "update" -> client.triggerRegistrationUpdate();
                case "send" -> send(
                        client, ContentFormat.fromName(words[1]), List.of(words).subList(2, words.length));
                case "collect" -> collector(client)
                        .collectData(Stream.of(words).skip(1).map(LwM2mPath::new).toList());
                case "flush" -> collector(client)
                        .sendCollectedData(server(client), ContentFormat.fromName(words[1]), 10_000, false);
                case "become" -> {
                    return List.of(words).subList(1, words.length);
                }
                case "stop" -> {
                    return null;
                }
                default -> Narrator.say("unknown " + words[0]);
            }
        }
        return null;
    }

    private static void send(LeshanClient client, ContentFormat format, List<String> paths) throws Exception {
        SendResponse response = client.getSendService().sendData(server(client), format, paths, 10_000);
        Narrator.say("sent " + (response == null ? "no-answer" : response.getCode().getName()));
    }

    /** Keeps values with their times until it is told to send them all. */
    private static ManualDataSender collector(LeshanClient client) {
        return client.getSendService().getDataSender(ManualDataSender.DEFAULT_NAME, ManualDataSender.class);
    }

    private static LwM2mServer server(LeshanClient client) {
        return client.getRegisteredServers().values().iterator().next();
    }
}
