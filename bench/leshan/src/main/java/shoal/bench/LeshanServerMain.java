package shoal.bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Operations;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.security.util.SecurityUtil;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.model.StaticModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.send.SendListener;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

/**
 * Leshan's server library, set up as its own users would for many clients: its defaults, but a duplicate detection that
 * is bounded for each peer (the default remembers every message for 247 s and fills any memory under load). Values are
 * counted and dropped.
 *
 * <p>Arguments: port, "coap" or "coaps", whether to observe, prefix of the endpoint names, their number, and the key of all
 * in hex or a folder with "server.der", "server.key" and "authority.der", whose clients show certificates.
 * A line on standard input makes it collect garbage and say how many bytes are in use; the end of the input ends it.
 */
public final class LeshanServerMain {
    /** As many as Shoal remembers. Its own default of 64 costs 640 MB with 10,000 busy clients. */
    private static final int MESSAGES_PER_PEER = 16;

    /**
     * Above as many handshakes in a while, and above as many connections, it sends every hello back for another cookie, without
     * end. Its default of 150,000 is reached within ten seconds here.
     */
    private static final int CONNECTIONS_MAX = 2_000_000;

    private LeshanServerMain() {}

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        boolean secure = arguments[1].equals("coaps");
        boolean observe = Boolean.parseBoolean(arguments[2]);

        CaliforniumServerEndpointsProvider.Builder endpoints =
                new CaliforniumServerEndpointsProvider.Builder(
                        new CoapServerProtocolProvider(), new CoapsServerProtocolProvider());
        Configuration configuration = endpoints.createDefaultConfiguration();
        configuration.set(CoapConfig.DEDUPLICATOR, CoapConfig.DEDUPLICATOR_PEERS_MARK_AND_SWEEP);
        configuration.set(CoapConfig.PEERS_MARK_AND_SWEEP_MESSAGES, MESSAGES_PER_PEER);
        // Not with connection ids: it would keep each session that a new handshake replaced for half an hour.
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, null);
        configuration.set(DtlsConfig.DTLS_MAX_CONNECTIONS, CONNECTIONS_MAX);
        // PSK with AES_128_CCM_8, as both sides prefer it; Scandium would otherwise offer recommended suites only.
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        endpoints.setConfiguration(configuration);
        endpoints.addEndpoint(new InetSocketAddress("127.0.0.1", port), secure ? Protocol.COAPS : Protocol.COAP);

        InMemorySecurityStore security = new InMemorySecurityStore();
        Path folder = Path.of(arguments[5]);
        boolean certified = secure && Files.isDirectory(folder);
        if (secure) {
            for (int number = 0; number < Integer.parseInt(arguments[4]); number++) {
                String endpoint = String.format("%s%06d", arguments[3], number);
                security.add(
                        certified
                                ? SecurityInfo.newX509CertInfo(endpoint)
                                : SecurityInfo.newPreSharedKeyInfo(
                                        endpoint, endpoint, HexFormat.of().parseHex(arguments[5])));
            }
        }

        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        models.add(TEMPERATURE);
        LeshanServerBuilder builder = new LeshanServerBuilder();
        if (certified) {
            builder.setPrivateKey(SecurityUtil.privateKey.decode(Files.readAllBytes(folder.resolve("server.key"))));
            builder.setCertificateChain(new X509Certificate[] {certificate(folder.resolve("server.der"))});
            builder.setTrustedCertificates(
                    new X509Certificate[] {certificate(folder.resolve("authority.der"))});
        }
        builder.setEndpointsProviders(endpoints.build());
        builder.setSecurityStore(security);
        builder.setObjectModelProvider(new StaticModelProvider(new StaticModel(models)));
        LeshanServer server = builder.build();
        LongAdder values = new LongAdder();
        server.getSendService().addListener(new Sends(values));
        server.getObservationService().addListener(new Notifications(values));
        if (observe) {
            server.getRegistrationService().addListener(new Observer(server));
        }
        server.start();
        System.out.println("ready");

        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (orders.readLine() != null) {
            System.gc();
            Runtime runtime = Runtime.getRuntime();
            System.out.println(runtime.totalMemory() - runtime.freeMemory());
        }
        server.destroy();
        System.exit(0);
    }

    private static X509Certificate certificate(Path file) throws Exception {
        return SecurityUtil.certificate.decode(Files.readAllBytes(file));
    }

    /** IPSO Temperature, as far as the clients have it. */
    private static final ObjectModel TEMPERATURE =
            new ObjectModel(
                    3303,
                    "Temperature",
                    "",
                    "1.0",
                    true,
                    false,
                    new ResourceModel(5601, "Min Measured Value", Operations.R, false, false, Type.FLOAT, "", "", ""),
                    new ResourceModel(5700, "Sensor Value", Operations.R, false, false, Type.FLOAT, "", "", ""));

    private record Sends(LongAdder values) implements SendListener {
        @Override
        public void dataReceived(Registration registration, TimestampedLwM2mNodes data, SendRequest request) {
            values.add(data.getFlattenNodes().size());
        }

        @Override
        public void onError(Registration registration, String message, Exception error) {
            System.err.println("send: " + message);
        }
    }

    private record Notifications(LongAdder values) implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration registration) {}

        @Override
        public void cancelled(Observation observation) {}

        @Override
        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            values.increment();
        }

        @Override
        public void onResponse(
                CompositeObservation observation, Registration registration, ObserveCompositeResponse response) {
            values.increment();
        }

        @Override
        public void onError(Observation observation, Registration registration, Exception error) {
            System.err.println("notify: " + error);
        }
    }

    private record Observer(LeshanServer server) implements RegistrationListener {
        @Override
        public void registered(
                Registration registration, Registration previous, Collection<Observation> previousObservations) {
            ObserveRequest request = new ObserveRequest(ContentFormat.SENML_CBOR, 3303, 0, 5700);
            server.send(registration, request, response -> {}, error -> System.err.println("observe: " + error));
        }

        @Override
        public void updated(RegistrationUpdate update, Registration updated, Registration previous) {}

        @Override
        public void unregistered(
                Registration registration, Collection<Observation> observations, boolean expired, Registration next) {}
    }
}
