package shoal.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
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
 * <p>Arguments: server URI, endpoint, lifetime in seconds, PSK identity or "-", key in hex or "-", length of the
 * connection id or "-", further query parameters as name=value. System properties: "formats", the only content formats
 * it speaks ("TLV,SENML_JSON"; all by default), "queue", whether it sleeps between updates, "bootstrap", whether
 * the server is a bootstrap server, "shared", whether it has another server and tells in object 2 what each may, and
 * "version" ("1.0"; the library's own by default). Then it obeys lines on standard input ("value 21.5", "send SENML_CBOR /3303/0/5700 /3/0/9",
 * "collect /3303/0/5700", "flush SENML_JSON", "update", "stop") and tells on standard output what happened, a line each.
 */
public final class LeshanPeer {
    private static final int SERVER_ID = 123;
    private static final int OTHER_SERVER_ID = 124;

    private LeshanPeer() {}

    public static void main(String[] arguments) throws Exception {
        String uri = arguments[0];
        String endpoint = arguments[1];
        int lifetime = Integer.parseInt(arguments[2]);
        boolean secure = !arguments[3].equals("-");

        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        models.add(Thermometer.MODEL);
        models.add(TestObject.MODEL);
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(models));
        boolean bootstraps = Boolean.getBoolean("bootstrap");
        objects.setInstancesForObject(LwM2mId.SECURITY, account(arguments, uri, secure, bootstraps));
        if (bootstraps) {
            // Whom it registers with is the bootstrap server's to say.
            objects.setClassForObject(LwM2mId.SERVER, Server.class);
        } else {
            objects.setInstancesForObject(LwM2mId.SERVER, servers(lifetime));
        }
        if (Boolean.getBoolean("shared")) {
            // Object 2 as bootstrap left it: the rights on the Device object are this server's to give.
            objects.setInstancesForObject(
                    LwM2mId.ACCESS_CONTROL,
                    new SimpleInstanceEnabler(0, 0, 3L, 1, 0L, 2, Map.of((int) SERVER_ID, 15L), 3, (long) SERVER_ID));
        }
        objects.setInstancesForObject(LwM2mId.DEVICE, new PeerDevice());
        Thermometer thermometer = new Thermometer();
        objects.setInstancesForObject(Thermometer.OBJECT, thermometer);
        objects.setClassForObject(TestObject.OBJECT, TestObject.class);
        objects.setInstancesForObject(TestObject.OBJECT, TestObject.first());

        LeshanClientBuilder builder = new LeshanClientBuilder(endpoint);
        builder.setObjects(objects.createAll());
        builder.setDataSenders(new ManualDataSender());
        builder.setEndpointsProviders(endpoints(arguments[5]));
        builder.setAdditionalAttributes(queries(arguments));
        String formats = System.getProperty("formats");
        if (formats != null) {
            speakOnly(builder, Stream.of(formats.split(",")).map(ContentFormat::fromName).collect(Collectors.toSet()));
        }
        boolean older = System.getProperty("version", "1.1").equals("1.0");
        if (older) {
            builder.setLinkFormatHelper(new LinkFormatHelper(LwM2mVersion.V1_0));
        }
        DefaultRegistrationEngineFactory engine =
                older ? new OlderEngineFactory() : new DefaultRegistrationEngineFactory();
        engine.setCommunicationPeriod(lifetime * 1000 / 2);
        engine.setReconnectOnUpdate(false);
        engine.setQueueMode(Boolean.getBoolean("queue"));
        builder.setRegistrationEngineFactory(engine);

        LeshanClient client = builder.build();
        client.addObserver(new Narrator());
        client.start();
        obey(client, thermometer);
        client.destroy(true);
        System.exit(0);
    }

    private static Server[] servers(int lifetime) {
        Stream<Integer> ids = Boolean.getBoolean("shared") ? Stream.of(SERVER_ID, OTHER_SERVER_ID) : Stream.of(SERVER_ID);
        return ids.map(id -> new Server(id, lifetime, EnumSet.of(BindingMode.U), false, BindingMode.U))
                .toArray(Server[]::new);
    }

    private static Security account(String[] arguments, String uri, boolean secure, boolean bootstraps) {
        if (!secure) {
            return bootstraps ? Security.noSecBootstrap(uri) : Security.noSec(uri, SERVER_ID);
        }
        byte[] identity = arguments[3].getBytes(StandardCharsets.UTF_8);
        byte[] key = HexFormat.of().parseHex(arguments[4]);
        return bootstraps
                ? Security.pskBootstrap(uri, identity, key)
                : Security.psk(uri, SERVER_ID, identity, key);
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

    private static CaliforniumClientEndpointsProvider endpoints(String connectionIdLength) {
        CaliforniumClientEndpointsProvider.Builder builder = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = builder.createDefaultConfiguration();
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        configuration.setTransient(DtlsConfig.DTLS_CONNECTION_ID_LENGTH);
        configuration.set(
                DtlsConfig.DTLS_CONNECTION_ID_LENGTH,
                connectionIdLength.equals("-") ? null : Integer.valueOf(connectionIdLength));
        builder.setConfiguration(configuration);
        return builder.build();
    }

    private static Map<String, String> queries(String[] arguments) {
        Map<String, String> queries = new HashMap<>();
        for (int i = 6; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            queries.put(pair[0], pair[1]);
        }
        return queries;
    }

    private static void obey(LeshanClient client, Thermometer thermometer) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
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
                case "stop" -> {
                    return;
                }
                default -> Narrator.say("unknown " + words[0]);
            }
        }
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
