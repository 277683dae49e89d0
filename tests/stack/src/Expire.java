import java.util.Optional;
import org.apache.pulsar.metadata.api.GetResult;
import org.apache.pulsar.metadata.api.MetadataStore;
import org.apache.pulsar.metadata.api.MetadataStoreConfig;
import org.apache.pulsar.metadata.api.MetadataStoreFactory;

/** Ends the session of a standalone Pulsar that was killed: removes its ephemeral nodes. The argument is its metadata folder. */
class Expire {
    public static void main(String[] folder) throws Exception {
        try (MetadataStore store =
                MetadataStoreFactory.create("rocksdb://" + folder[0], MetadataStoreConfig.builder().build())) {
            walk(store, "/");
        }
        // Its threads are no daemons.
        System.exit(0);
    }

    private static void walk(MetadataStore store, String path) {
        for (String name : store.getChildren(path).join()) {
            String child = path.equals("/") ? "/" + name : path + "/" + name;
            Optional<GetResult> node = store.get(child).join();
            if (node.isPresent() && node.get().getStat().isEphemeral()) {
                store.delete(child, Optional.empty()).join();
                System.out.println("expired " + child);
            } else {
                walk(store, child);
            }
        }
    }
}
